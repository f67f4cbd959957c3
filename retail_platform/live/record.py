"""The ledger's row of one micro-batch, under the UTC hour in which it ran.

A micro-batch that finds something to read leaves one row, and so does one that fails. One that
finds nothing leaves none: a row for each quiet minute would bury the others. The control database
is opened, and its client imported, with the first row only.

The rows have a layer of their own: a live table is no table of the hours, and its many attempts in
one hour are micro-batches that follow each other, none of which takes an earlier one's place.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deltalake import DeltaTable

from retail_platform.live.rows import Typed
from retail_platform.metadata.live import LiveTable
from retail_platform.metadata.types import schema_json

if TYPE_CHECKING:
    from retail_platform.control.ledger import Ledger
    from retail_platform.control.loads import Counts

ENGINE = "delta-rs"
"""What the ledger names as the engine of a process that starts none."""


class MicroBatchRecord:
    """Keeps the row; what is said before `begin` leaves none.

    Args:
        table: The live table.
        location: Where it lives.
        open_ledger: Gives the load ledger.
        run_id: Run that the row names.
    """

    def __init__(
        self,
        table: LiveTable,
        *,
        location: str,
        open_ledger: Callable[[], "Ledger"],
        run_id: str,
    ) -> None:
        self.table = table
        self.location = location
        self.run_id = run_id
        self._open_ledger = open_ledger
        self._begun = False
        self._opened: tuple[Ledger, int] | None = None
        self._before: tuple[int, int] | None = None
        self._counts: Counts | None = None

    def begin(self) -> None:
        """Opens the row; one that an earlier, killed micro-batch left open is closed.

        Raises:
            TransientFailure: the control database does not answer.
        """
        from retail_platform.control.loads import LIVE_LAYER

        self._begun = True
        ledger = self._open_ledger()
        load_id = ledger.start(
            asset=f"silver/{self.table.entity}",
            layer=LIVE_LAYER,
            hour=datetime.now(UTC).replace(minute=0, second=0, microsecond=0),
            run_id=self.run_id,
            engine=ENGINE,
            window=None,
        )
        self._opened = ledger, load_id
        if DeltaTable.is_deltatable(self.location):
            self._before = self._target()

    def merged(self, typed: Typed, *, applied: int) -> None:
        """Counts what was merged, before the consumer group forgets what it has read.

        Args:
            typed: What the events have become.
            applied: How many rows the merge has inserted or replaced.

        Raises:
            PermanentFailure: the counts do not balance; the row is closed as a failure.
        """
        if self._opened is None:
            return
        from retail_platform.control.loads import Counts

        ledger, load_id = self._opened
        self._counts = Counts(
            read=typed.read,
            quarantined=len(typed.refused),
            duplicates=typed.duplicates,
            stale=len(typed.newest) - applied,
            applied=applied,
        )
        ledger.check_balance(load_id, self._counts)

    def succeed(self, reason: str | None) -> None:
        """Closes the row: everything is in the lake, and the group has noted it.

        Args:
            reason: What is to be said of offsets that were lost; None where none were.
        """
        if self._opened is None or self._counts is None or self._before is None:
            return
        ledger, load_id = self._opened
        rows, version = self._target()
        ledger.succeed(
            load_id,
            self._counts,
            target_rows_before=self._before[0],
            target_rows_after=rows,
            target_version_before=self._before[1],
            target_version_after=version,
            schema_version=ledger.schemas.schema_version(
                f"silver/{self.table.entity}", schema_json(self.table.schema)
            ),
            reason=reason,
        )

    def fail(self, error: BaseException) -> None:
        """Closes the row as a failure, with the counts of what is merged already."""
        if not self._begun:
            self.begin()
        if self._opened is None:
            # The ledger itself has failed.
            return
        ledger, load_id = self._opened
        ledger.fail(load_id, f"{type(error).__name__}: {error}", self._counts)

    def _target(self) -> tuple[int, int]:
        """Rows and version of the table."""
        delta = DeltaTable(self.location)
        return delta.count(), delta.version()


@contextmanager
def recorded(record: MicroBatchRecord) -> Iterator[None]:
    """Closes the row of a micro-batch that fails as a failure."""
    try:
        yield
    except BaseException as error:
        record.fail(error)
        raise
