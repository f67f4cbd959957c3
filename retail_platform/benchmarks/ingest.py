"""SQL to Bronze, rate and memory, beside dlt over the same PostgreSQL table.

Belongs here: the table, starting both, and the verdict. Each runs in a process of its own, so that
neither pays for the other: `ingest_bronze` is ours, `ingest_dlt` the peer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from retail_platform.benchmarks.processes import figures, our_command, peer_command
from retail_platform.failures import PermanentFailure
from retail_platform.simulator.postgres import postgres_server

OURS = "retail_platform.benchmarks.ingest_bronze"
PEER = "retail_platform.benchmarks.ingest_dlt"
LEAST_RATIO = 2.0
MOST_GROWTH = 300 * 10**6
WARM_ROWS = 1000
MANY, FEW = "orders", "few_orders"

_CREATE = """
create unlogged table {table} (
  order_id bigint primary key, customer_id integer not null, store_id integer,
  quantity integer not null, unit_price numeric(12,4) not null, amount numeric(19,4) not null,
  status text not null, note text, is_gift boolean not null, modified_at timestamp not null
)"""
_FILL = """
insert into {table} select g, g * 7919 % 100000, case when g % 3 = 0 then g % 74 end, g % 12 + 1,
  g % 10007 / 100.0, g % 10007 / 100.0 * (g % 12 + 1),
  (array['placed', 'shipped', 'cancelled'])[g % 3 + 1],
  case when g % 5 = 0 then 'note ' || g end, g % 17 = 0,
  timestamp '2025-12-01' + g % 2592000 * interval '1 second'
from generate_series(1::bigint, {rows}) g"""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """One tool's load of the whole table.

    Attributes:
        rows: Rows in the tool's Delta table afterwards.
        seconds: From the first query to the commit; imports and start-up do not count.
        growth: Bytes by which the summed PSS of the process and its children grew over what they
            took when idle, at the peak.
    """

    rows: int
    seconds: float
    growth: int

    @property
    def rows_a_second(self) -> float:
        """The rate."""
        return self.rows / self.seconds


@dataclass(frozen=True, kw_only=True)
class IngestReport:
    """What a benchmark found.

    Attributes:
        ours: The platform's load, from SQL into Bronze, ledger and row hashes included.
        peer: dlt's; None: not asked.
    """

    ours: Rate
    peer: Rate | None

    @property
    def ratio(self) -> float | None:
        """Our rate by dlt's."""
        return self.ours.rows_a_second / self.peer.rows_a_second if self.peer else None

    @property
    def holds(self) -> bool:
        """Whether rate and memory are what the platform promises."""
        fast = self.ratio is None or self.ratio >= LEAST_RATIO
        return fast and self.ours.growth < MOST_GROWTH


def run_ingest(folder: Path, *, rows: int, peer: bool) -> IngestReport:
    """Loads a generated table of a private PostgreSQL, by the platform and by dlt.

    Args:
        folder: Empty folder for what is written.
        rows: Rows of the table.
        peer: Whether dlt loads it as well.

    Raises:
        PermanentFailure: PostgreSQL is not installed, or a load failed.
    """
    with postgres_server() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            for table, number in ((FEW, WARM_ROWS), (MANY, rows)):
                connection.execute(_CREATE.format(table=table).encode())
                connection.execute(_FILL.format(table=table, rows=number).encode())
                connection.execute(f"vacuum analyze {table}".encode())
        return IngestReport(
            ours=_rate("the platform", our_command(OURS), url, folder / "ours", rows),
            peer=_rate("dlt", peer_command(PEER), url, folder / "dlt", rows) if peer else None,
        )


def _rate(name: str, command: Sequence[str], url: str, folder: Path, rows: int) -> Rate:
    folder.mkdir(parents=True)
    rate = Rate(**figures(name, command, [str(folder)], told=url))
    if rate.rows != rows:
        raise PermanentFailure(f"bench: {name} loaded {rate.rows} rows, expected {rows}.")
    return rate
