"""``maintain``: compaction, vacuum and checkpoints of chosen tables, now."""

import click


@click.command()
@click.argument("tables", nargs=-1, metavar="[TABLE...]")
@click.option("--dry-run", is_flag=True, help="Only say what would be done; nothing is written.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def maintain(tables: tuple[str, ...], *, dry_run: bool, as_json: bool) -> None:
    """Compact small files of TABLE (silver.orders, bronze.sales__*; all by default).

    Also deletes files that no kept version needs, writes checkpoints and removes what killed loads
    left. The nightly jobs do the same in the quiet hours. Loads may run meanwhile: a merge that
    meets a compaction is repeated. Gold builds are not: choose a quiet moment for gold.*.
    """
    import json

    from rich.console import Console
    from rich.table import Table

    from retail_platform.cli.platform import Platform
    from retail_platform.failures import PlatformFailure
    from retail_platform.operations.maintenance import (
        chosen,
        keep,
        keepable_tables,
        remove_staging,
    )

    platform = Platform.here()
    root = platform.settings.lake_url
    picked = chosen(keepable_tables(platform.catalog, root), tables)
    results, failed = [], []
    for table in picked:
        try:
            results.append(keep(root, table, dry_run=dry_run))
        except PlatformFailure as failure:
            failed.append(str(failure))
    staging = remove_staging(root, dry_run=dry_run)
    if as_json:
        found = {
            "tables": [result.figures for result in results],
            "staging_removed": staging,
            "failed": failed,
        }
        click.echo(json.dumps(found, indent=2))
    else:
        shown = Table(title="Would be done" if dry_run else "Done")
        for name in ("table", "rewrite", "rewritten", "before", "after", "removed", "bytes"):
            shown.add_column(name, justify="left" if name in ("table", "rewrite") else "right")
        for r in results:
            files = (r.files_rewritten, r.files_before, r.files_after, r.files_removed)
            shown.add_row(r.table, r.rewrite or "-", *(f"{n:,}" for n in (*files, r.bytes_removed)))
        Console().print(shown)
        click.echo(f"Folders of killed loads {'found' if dry_run else 'removed'}: {staging}.")
    if failed:
        raise click.ClickException("; ".join(failed))
