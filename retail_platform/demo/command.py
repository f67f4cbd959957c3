"""The demo's course: sources, hours, proof, and on request the Dagster UI."""

import time
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from retail_platform.control.database import open_control
from retail_platform.control.ledger import Ledger
from retail_platform.control.models import Status
from retail_platform.demo.environment import enter_demo_environment, prepare_home
from retail_platform.demo.memory import PeakMemory
from retail_platform.demo.reconciled import reconciled_lines
from retail_platform.demo.summary import (
    CONSOLE,
    blocking_failures,
    print_assets,
    print_failures,
    print_reconciliation,
)
from retail_platform.extract.window import HOUR
from retail_platform.failures import PermanentFailure
from retail_platform.settings import Settings
from retail_platform.simulator.kafka_jars import how_to_add
from retail_platform.simulator.postgres import INSTALL
from retail_platform.simulator.reconciliation import report_reconciliation
from retail_platform.simulator.simulator import Simulator

ADDED_BY = {
    "suppliers": f"PostgreSQL is not installed; to add it, {INSTALL}, and start the demo again",
    "warehouse": (
        "no SFTP server can be run here; to add it, install the package asyncssh (`uv sync` does) "
        "and start the demo again"
    ),
    "web": f"Kafka is not on this machine; to add it, {how_to_add()}, and start the demo again",
}
"""Why a source may be left out, and how to add it."""


def run_demo(*, hours: int, ui: bool, before: datetime | None, fresh: bool, port: int) -> int:
    """Runs the demo.

    Args:
        hours: Trading hours to load.
        ui: Whether to open the Dagster UI afterwards and go on live.
        before: Load the trading hours before this instant (aware); None: the last ones.
        fresh: Whether to delete the state of earlier runs.
        port: Port of the UI.

    Returns:
        Exit code: 1 when a step, a blocking check or the reconciliation failed.

    Raises:
        PermanentFailure: the state folder is not the demo's, or the hours lie before it.
    """
    home = Settings.from_environment().home
    prepare_home(home, fresh=fresh)
    started = time.monotonic()
    with (
        PeakMemory() as memory,
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=CONSOLE,
            transient=True,
        ) as progress,
    ):
        ok = _load(home, hours, before, progress)
    CONSOLE.print(
        f"Whole demo {time.monotonic() - started:.0f} s, "
        f"peak memory {memory.peak / 2**20:,.0f} MB (summed PSS of this process and its children)."
    )
    if ui:
        from retail_platform.demo.live import run_live

        run_live(home, port)
    return 0 if ok else 1


def _load(home: Path, hours: int, before: datetime | None, progress: Progress) -> bool:
    task = progress.add_task("RetailCorp in a box", total=None)
    simulator, planned = _open_simulator(home, hours, before)
    with simulator.serve() as sources:
        settings = enter_demo_environment(home, sources, simulator.start)
        for source in settings.without_sources:
            CONSOLE.print(f"Source {source} is left out: {ADDED_BY[source]}.")
        progress.update(task, description="code location")
        import dagster as dg

        from retail_platform.definitions import build_defs
        from retail_platform.demo.hours import asset_count, load_hour, load_live

        defs = build_defs(settings)
        simulator.catch_up_events()
        total = asset_count(defs)
        outcomes = []
        with (
            dg.DagsterInstance.from_config(str(home / "dagster")) as instance,
            (home / "steps.log").open("a") as log,
            redirect_stdout(log),
        ):
            for hour in planned:
                if hour + HOUR > simulator.clock:
                    simulator.advance_to(hour + HOUR)
                progress.reset(
                    task, description=f"{hour:%Y-%m-%d %H:%M} UTC", total=total, completed=0
                )
                outcome = load_hour(
                    defs,
                    instance,
                    hour,
                    lambda done: progress.update(task, completed=done),
                )
                outcomes.append(outcome)
                CONSOLE.print(
                    f"{hour:%Y-%m-%d %H:%M} UTC  "
                    f"{'loaded' if outcome.succeeded else '[red]failed[/]'} in "
                    f"{outcome.seconds:.1f} s"
                )
            for outcome in load_live(settings, instance, planned[-1]):
                outcomes.append(outcome)
                CONSOLE.print(
                    f"{', '.join(outcome.rows) or 'live table'}  micro-batch "
                    f"{'loaded' if outcome.succeeded else '[red]failed[/]'} in "
                    f"{outcome.seconds:.1f} s"
                )
            progress.reset(task, description="reconciliation", total=None)
            lines = reconciled_lines(simulator)
            report_reconciliation(instance, lines)
    progress.stop()
    ledger = Ledger(open_control(settings.control_url))
    blocked = [row for row in ledger.standing(Status.BLOCKED) if row.hour in planned]
    print_assets(outcomes, blocked)
    print_failures(outcomes, blocked)
    print_reconciliation(lines)
    return all(
        outcome.succeeded and not blocking_failures(outcome) for outcome in outcomes
    ) and all(line.agrees for line in lines)


def _open_simulator(
    home: Path, hours: int, before: datetime | None
) -> tuple[Simulator, list[datetime]]:
    """The simulator and the hours to load.

    A second run goes on from the state of the first: new hours are loaded, and hours that it has
    loaded already are loaded again, which changes nothing.
    """
    now = datetime.now(UTC)
    if not Simulator.exists(home):
        planned = Simulator.plan_trading_hours(hours, now=now, before=before)
        return Simulator.open(home, now=now, start=planned[0]), planned
    simulator = Simulator.open(home)
    planned = simulator.trading_hours(hours, before=before or now)
    if planned[0] < simulator.start:
        raise PermanentFailure(
            f"The hour {planned[0]:%Y-%m-%d %H:%M} UTC lies before the start of this demo's "
            f"sources, {simulator.start:%Y-%m-%d %H:%M} UTC. Ask for fewer or later hours, or "
            "start over with --fresh."
        )
    return simulator, planned
