"""``bench``: benchmarks over generated tables, and of this platform's own Gold."""

import sys

import click


@click.group()
def bench() -> None:
    """Measure the platform."""


@bench.command()
@click.option("--tables", default=200, show_default=True, help="Number of generated tables.")
@click.option("--rows", default=1000, show_default=True, help="Rows that each changes an hour.")
@click.option(
    "--peer/--no-peer", default=True, help="Let dlt merge the same rows into one layer, too."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def tick(tables: int, rows: int, peer: bool, as_json: bool) -> None:
    """Load two hours of generated tables, Bronze and Silver, through the real code location.

    Load types are mixed and dependencies five levels deep. The first hour fills the tables, the
    second merges into them. dlt runs in an environment of its own, which uv builds on first use.
    Exit code 1 where a table failed.
    """
    import json
    import tempfile
    from dataclasses import asdict
    from pathlib import Path

    from retail_platform.benchmarks.tick import run_tick

    with tempfile.TemporaryDirectory(prefix="retail_bench_") as folder:
        report = run_tick(Path(folder), tables=tables, rows=rows, peer=peer)
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2))
    else:
        click.echo(
            f"{tables} tables x {rows} rows, {report.assets} assets; "
            f"code location {report.location_seconds:.1f} s"
        )
        for number, hour in enumerate(report.hours):
            click.echo(
                f"hour {number}: {hour.seconds:.1f} s, {hour.rows:,} rows: engine "
                f"{hour.engine_seconds:.1f} s (loads, side by side: Bronze "
                f"{hour.bronze_seconds:.1f}, Silver {hour.silver_seconds:.1f}), "
                f"Dagster {hour.dagster_seconds:.1f} s"
            )
            if hour.peer_seconds is not None:
                click.echo(
                    f"        dlt, one layer: {hour.peer_seconds:.1f} s; "
                    f"the engine part takes {hour.ratio:.2f} times as long"
                )
            for step in hour.failures:
                click.echo(f"        failed: {step}")
    sys.exit(1 if any(hour.failures for hour in report.hours) else 0)


@bench.command()
@click.option("--rows", default=3_000_000, show_default=True, help="Rows of the PostgreSQL table.")
@click.option("--peer/--no-peer", default=True, help="Let dlt load the same table, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def ingest(rows: int, peer: bool, as_json: bool) -> None:
    """Load a large PostgreSQL table into Bronze, and by dlt into Delta.

    The server is a private one, made for the run; PostgreSQL must be installed. dlt runs in an
    environment of its own, which uv builds on first use. Exit code 1 where Bronze is not twice as
    fast as dlt, or its memory grows by 300 MB or more.
    """
    import json
    import tempfile
    from dataclasses import asdict
    from pathlib import Path

    from retail_platform.benchmarks.ingest import run_ingest

    with tempfile.TemporaryDirectory(prefix="retail_bench_") as folder:
        report = run_ingest(Path(folder), rows=rows, peer=peer)
    if as_json:
        click.echo(json.dumps({**asdict(report), "ratio": report.ratio}, indent=2))
    else:
        for name, rate in (("Bronze", report.ours), ("dlt", report.peer)):
            if rate is not None:
                click.echo(
                    f"{name:6} {rate.rows:,} rows in {rate.seconds:.1f} s: "
                    f"{rate.rows_a_second:,.0f} rows/s; memory grew by {rate.growth / 1e6:,.0f} MB"
                )
        if report.ratio is not None:
            click.echo(f"Bronze is {report.ratio:.2f} times as fast as dlt")
    sys.exit(0 if report.holds else 1)


@bench.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def gold(as_json: bool) -> None:
    """Build and test the last loaded hour of this platform's Gold again, and time its parts.

    Exit code 1 where incremental models and blocking tests take more than 30 seconds.
    """
    import json
    from dataclasses import asdict

    from retail_platform.benchmarks.gold import LIMIT_SECONDS, run_gold
    from retail_platform.cli.platform import Platform, last_loaded
    from retail_platform.failures import PermanentFailure

    platform = Platform.here()
    hour = last_loaded(platform)
    if hour is None:
        raise PermanentFailure("Nothing is loaded yet; run: retail-platform demo --no-ui")
    with platform.lakehouse() as lakehouse:
        found = run_gold(home=platform.settings.home, lakehouse=lakehouse, hour=hour)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2, default=str))
    else:
        click.echo(f"Gold of {found.hour:%Y-%m-%d %H:%M} UTC, built again:")
        both = found.models + found.blocking_tests
        click.echo(f"  incremental models {found.models:6.1f} s")
        click.echo(f"  blocking tests     {found.blocking_tests:6.1f} s")
        click.echo(f"  both               {both:6.1f} s of {LIMIT_SECONDS:.0f} s")
        click.echo(f"  unit tests         {found.unit_tests:6.1f} s")
        click.echo(f"  reports            {found.reports:6.1f} s")
    sys.exit(0 if found.within_limit else 1)
