"""``dbt``: dbt in the Gold project, on an engine over this platform's lake."""

from datetime import datetime

import click

from retail_platform.cli.times import HOUR


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--hour", type=HOUR, help="Hour to build (UTC); default: the last one loaded.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="-- [DBT ARGUMENT]...")
def dbt(hour: datetime | None, arguments: tuple[str, ...]) -> None:
    """Run dbt in the Gold project: `retail-platform dbt -- build --select +mart_sales_vs_spend`.

    Without arguments a shell opens in the project's folder in which `dbt` itself works: build,
    test, snapshot, source freshness, docs generate. The engine lives as long as the command.
    Artefacts and logs lie in the state folder below dbt/target; the project's folder is never
    written to. Ends with dbt's own exit code.
    """
    import os
    import sys
    from pathlib import Path

    from retail_platform.cli.platform import Platform, last_loaded
    from retail_platform.gold.by_hand import PROJECT, hand_environment, hand_project, run_by_hand
    from retail_platform.gold.project import DBT, staging_of
    from retail_platform.gold.runner import hour_variable
    from retail_platform.gold.stored_partitions import STORED_PARTITIONS, stored_partitions

    platform = Platform.here()
    chosen = hour or last_loaded(platform)
    project = hand_project(platform.settings.home)
    with platform.lakehouse() as lakehouse, staging_of(lakehouse.gold_root) as staging:
        hours = hour_variable([chosen]) if chosen else ""
        environment = hand_environment(project, lakehouse, staging=staging, hours=hours)
        if arguments:
            # Not in a shell, in which a table may be rebuilt with others before the next command.
            environment[STORED_PARTITIONS] = stored_partitions(lakehouse.gold_root)
            code = run_by_hand([sys.executable, "-c", DBT, *arguments], environment, PROJECT)
        else:
            # This environment's dbt comes first, whatever else the PATH holds.
            environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            click.echo(f"dbt is ready, hour {hours or 'not set: nothing is loaded yet'} (UTC).")
            click.echo("Try: dbt build, dbt test, dbt docs generate. `exit` ends the engine.")
            code = run_by_hand([os.environ.get("SHELL", "sh")], environment, PROJECT)
    sys.exit(code)
