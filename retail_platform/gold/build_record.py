"""The ledger's rows of one Gold build: a row a table and hour, whether built, failed or blocked.

A build is one step and one dbt process over many tables, so Dagster does not know which of them a
failure concerns; dbt's events and the graph do. Not here: starting dbt (`runner`).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from retail_platform.control.ledger import Ledger
from retail_platform.control.loads import Counts
from retail_platform.gold.graph import GoldGraph
from retail_platform.operations.causes import Cause, failed, written
from retail_platform.operations.parents import Parent, ParentJudge

ENDED_EARLY = "dbt ended before the table was done"


class BuildRecord:
    """Keeps the ledger while tables are built for some hours.

    Args:
        graph: What the tables are made of.
        ledger: The load ledger.
        run_id: The run.
        engine: Name of the engine.
        hours: Aware UTC hours of the build.
        selected: Tables that the step is to build.
        never_filled: Silver tables that stay empty because their source is left out; they are no
            reason to wait.
    """

    def __init__(
        self,
        *,
        graph: GoldGraph,
        ledger: Ledger,
        run_id: str,
        engine: str,
        hours: Sequence[datetime],
        selected: Collection[str],
        never_filled: Collection[str] = (),
    ) -> None:
        self._graph = graph
        self._ledger = ledger
        self._run_id = run_id
        self._engine = engine
        self._hours = hours
        self._never_filled = frozenset(never_filled)
        self._selected = graph.parents_first(selected)
        self._open: dict[str, list[int]] = {}
        self._built: set[str] = set()
        self._errors: dict[str, str] = {}
        self._failed_tests: dict[str, str] = {}
        self.blocked: dict[str, list[Cause]] = {}

    def block_by_parents(self, judge: ParentJudge) -> None:
        """Finds the tables that cannot be built because of what happened before this step.

        Raises:
            StillRunning: another run has not loaded a parent in time.
        """
        outside = {
            parent
            for asset in self._selected
            for parent in self._graph.parents[asset]
            if parent not in self._selected and parent not in self._never_filled
        }
        troubles: dict[str, list[Cause]] = {}
        for hour in self._hours:
            parents = [Parent(asset=asset, covers_past=True) for asset in sorted(outside)]
            for parent, causes in judge.troubles(parents, hour).items():
                troubles.setdefault(parent.asset, []).extend(causes)
        self._block(troubles)

    def heard(self, event: Mapping[str, Any]) -> None:
        """Takes note of one of dbt's events."""
        name, data = event["info"]["name"], event["data"]
        node = data.get("node_info") or {}
        unique_id = node.get("unique_id", "")
        asset = self._graph.assets.get(unique_id)
        if asset is not None:
            if name == "LogStartLine":
                self._open[asset] = [self._start(asset, hour) for hour in self._hours]
            elif name == "RunResultError" or data.get("status") == "error":
                self._errors[asset] = event["info"]["msg"]
        elif name == "LogTestResult" and data.get("status") in ("fail", "error"):
            for tested in self._graph.tested(unique_id):
                self._failed_tests[tested] = f"its test {node.get('node_name')} did not pass"

    def built(self, asset: str, rows: int, version: int) -> None:
        """Closes the rows of a table that dbt has built."""
        for load in self._open.pop(asset, []):
            self._ledger.succeed(
                load, Counts(), target_rows_after=rows, target_version_after=version
            )
        self._built.add(asset)

    def end(self, error: str | None) -> None:
        """Closes what is open, and finds what was not built because of failures in the build.

        Args:
            error: Why dbt ended, where it did not end well.
        """
        failures = {asset: [failed(asset, text)] for asset, text in self._failed_tests.items()}
        for asset in self._selected:
            if asset in self._open:
                text = self._errors.get(asset) or error or ENDED_EARLY
                for load in self._open.pop(asset):
                    self._ledger.fail(load, text)
                failures[asset] = [failed(asset, text)]
                self._built.discard(asset)
        self._block(failures, otherwise=[failed("gold_build", error)] if error else [])

    def _block(self, troubles: Mapping[str, list[Cause]], otherwise: Sequence[Cause] = ()) -> None:
        """Notes the tables that troubles keep from being built, parents before children.

        Args:
            troubles: Assets that are not well, with the reasons.
            otherwise: Why a table is not there whose parents are all well.
        """
        for asset in self._selected:
            if asset in self._built or asset in self.blocked or asset in troubles:
                continue
            causes = [
                cause.then(asset)
                for parent in self._graph.parents[asset]
                for cause in (*troubles.get(parent, ()), *self.blocked.get(parent, ()))
            ]
            causes = causes or [cause.then(asset) for cause in otherwise]
            if causes:
                self.blocked[asset] = causes
                self._note(asset, causes)

    def _note(self, asset: str, causes: list[Cause]) -> None:
        for hour in self._hours:
            self._ledger.block(
                asset=asset,
                layer="gold",
                hour=hour,
                run_id=self._run_id,
                engine=self._engine,
                causes=written(causes),
            )

    def _start(self, asset: str, hour: datetime) -> int:
        return self._ledger.start(
            asset=asset,
            layer="gold",
            hour=hour,
            run_id=self._run_id,
            engine=self._engine,
            window=None,
        )
