"""The simulator as a whole: one object that owns the sources and their common clock.

Here belongs the order of things: what the first start fixes, how the clock moves, where the sources
are. The sources themselves are in :mod:`databases`, :mod:`supplier_database`, :mod:`pos`,
:mod:`json_feeds`, :mod:`stock_counts` with :mod:`sftp_server`, :mod:`ads_server` and
:mod:`api_server`.

Everything under the home folder's ``simulator/`` is deterministic from (seed, now, start): the
change log is not stored but made again when it is first needed (about three seconds), and its
SHA-256 is compared with ``state.json``.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from pathlib import Path

import retail_platform.simulator.ads_facebook as ads_facebook
import retail_platform.simulator.ads_google as ads_google
import retail_platform.simulator.ads_server as ads_server
import retail_platform.simulator.api_server as api_server
import retail_platform.simulator.databases as databases
import retail_platform.simulator.event_feed as event_feed
import retail_platform.simulator.stock_counts as stock_counts
import retail_platform.simulator.supplier_database as supplier_database
from retail_platform.failures import PermanentFailure
from retail_platform.simulator.ads_faults import Faults
from retail_platform.simulator.api_book import Book
from retail_platform.simulator.api_books import api_books
from retail_platform.simulator.changes import ChangeLog
from retail_platform.simulator.event_feed import EventFeed, serve_events
from retail_platform.simulator.json_feeds import FEEDS as JSON_FEEDS
from retail_platform.simulator.kafka_jars import kafka_folder
from retail_platform.simulator.pos import PosFeed
from retail_platform.simulator.postgres import postgres_programs
from retail_platform.simulator.sftp_server import SftpServer, serve_sftp, sftp_is_available
from retail_platform.simulator.shifts import FEEDS, POS, POS_ZONE
from retail_platform.simulator.state import State
from retail_platform.simulator.stock_counts import StockCountFeed
from retail_platform.simulator.supplier_database import SupplierDatabase
from retail_platform.simulator.world import build_log

LANDING_DAYS = 2
WAREHOUSE = "warehouse"
"""The source whose files come over SFTP."""


class EndOfData(PermanentFailure):
    """The clock has reached the end of a feed's data; only a new start can go on."""


class Simulator:
    """RetailCorp's sources at one moment of their simulated life.

    One process at a time may advance a home folder; any number may read the sources.
    """

    def __init__(self, folder: Path, state: State) -> None:
        """Use :meth:`open`."""
        self.folder = folder
        self._state = state
        self.pos = PosFeed(state.weeks["pos"])
        self.stock_counts = StockCountFeed(state.seed)
        self._suppliers: SupplierDatabase | None = None
        self._events: EventFeed | None = None

    @staticmethod
    def exists(home: Path) -> bool:
        """Whether a simulator was started in this home folder before."""
        return (home / "simulator" / "state.json").exists()

    @classmethod
    def open(
        cls,
        home: Path,
        *,
        now: datetime | None = None,
        start: datetime | None = None,
        seed: int = 7,
    ) -> "Simulator":
        """Open the simulator of a home folder; the first start builds it.

        Args:
            home: The platform's home folder; the simulator lives in ``simulator/`` below it.
            now: Aware instant by which the feeds are shifted at the first start (default: the real
                present). Later starts ignore ``now``, ``start`` and ``seed``.
            start: The first clock, at most ``now`` (default: ``now``). A demo of past trading hours
                starts at the first of them, see :meth:`plan_trading_hours`, and advances hour by
                hour.
            seed: Seed of every draw.

        Raises:
            PermanentFailure: The folder's state is damaged, of another version, or does not match
                the data pack.
        """
        folder = (home / "simulator").absolute()
        if not cls.exists(home):
            now = _utc(now or datetime.now(UTC))
            log = _first_start(folder, now=now, start=_utc(start or now), seed=seed)
            simulator = cls(folder, State.read(folder / "state.json"))
            # The log was made a moment ago: no need to make and compare it again.
            simulator.log = log
            return simulator
        simulator = cls(folder, State.read(folder / "state.json"))
        simulator._catch_up()
        return simulator

    @staticmethod
    def plan_trading_hours(
        count: int, *, now: datetime | None = None, before: datetime | None = None
    ) -> list[datetime]:
        """What :meth:`trading_hours` will say after a first start at ``now``, without starting."""
        now = _utc(now or datetime.now(UTC))
        return PosFeed(POS.weeks(now)).trading_hours(count, before=_utc(before or now))

    @property
    def clock(self) -> datetime:
        """The simulator's present, aware UTC: sources show every change with a time before it."""
        return self._state.clock

    @property
    def seed(self) -> int:
        """Seed of every draw."""
        return self._state.seed

    @property
    def start(self) -> datetime:
        """The first clock, aware UTC."""
        return self._state.start

    @property
    def ends_at(self) -> datetime:
        """The aware UTC instant at which the first feed's data is used up."""
        return _end(self._state.weeks)

    @property
    def landing(self) -> Path:
        """The landing folder, which contains ``pos/``."""
        return self.folder / "landing"

    @cached_property
    def log(self) -> ChangeLog:
        """The change log, made again from pack, seed and first start.

        Raises:
            PermanentFailure: It differs from the log of the first start.
        """
        state = self._state
        log = build_log(
            seed=state.seed, start=state.start, end=_end(state.weeks), weeks=state.weeks
        )
        found = log.digest()
        if found != state.log_sha256:
            raise PermanentFailure(
                f"simulator: the change log made from the data pack has SHA-256 {found}, "
                f"state.json says {state.log_sha256}: package or data changed since the first "
                "start; start over with an empty folder (demo --fresh)"
            )
        return log

    def advance_to(self, at: datetime) -> int:
        """Move the clock forward and let everything happen that lies before ``at``.

        Each database gets its changes and its clock in one transaction; POS files and markers of
        all hours closed by then are dropped. Going back, or staying, does nothing.

        Returns:
            Number of changes applied to the databases.

        Raises:
            EndOfData: ``at`` lies beyond the end of a feed's data. The clock has then moved to that
            end.
        """
        target = min(_utc(at), self.ends_at)
        applied = 0
        if target > self.clock:
            for database in databases.DATABASES:
                applied += self._advance_database(database, target)
            if self._suppliers is not None:
                changes = self.log.between(self.clock, target)
                applied += self._suppliers.apply(changes, target)
            if self._events is not None:
                self._events.advance_to(target)
            self.pos.drop(self.landing, after=self.clock, until=target)
            self.stock_counts.drop(self.folder / "sftp", self.log, after=self.clock, until=target)
            for feed in JSON_FEEDS.values():
                feed.drop(self.landing, after=self.clock, until=target, seed=self.seed)
            self._state = self._state.at(target)
            self._state.write(self.folder / "state.json")
        if _utc(at) > self.ends_at:
            feed = min(FEEDS, key=lambda name: FEEDS[name].end(self._state.weeks[name]))
            raise EndOfData(
                f"simulator: the data of feed {feed} ends at {self.ends_at.isoformat()}, "
                f"{_utc(at).isoformat()} was asked for; start over with an empty folder "
                "(demo --fresh)"
            )
        return applied

    def trading_hours(self, count: int, *, before: datetime | None = None) -> list[datetime]:
        """Aware UTC starts, ascending, of the last ``count`` hours with POS trade.

        Args:
            count: How many hours.
            before: The hours ended at or before this aware instant (default: the clock).

        Raises:
            PermanentFailure: The data has fewer such hours.
        """
        return self.pos.trading_hours(count, before=_utc(before or self.clock))

    def serve_ads(self, *, faults: Faults | None = None) -> AbstractContextManager[str]:
        """Serve both ad APIs while the context is open; it yields the base URL."""
        return ads_server.serve(lambda: self.clock, seed=self.seed, faults=faults)

    @contextmanager
    def serve_suppliers(self) -> Iterator[str | None]:
        """Serve the supplier database at the clock, which goes with it while the context is open.

        Yields:
            Its SQLAlchemy URL; None where PostgreSQL is not installed.

        Raises:
            PermanentFailure: PostgreSQL is installed and did not start.
        """
        if postgres_programs() is None:
            yield None
            return
        with supplier_database.serve(self.log, self.clock) as database:
            self._suppliers = database
            try:
                yield database.url
            finally:
                self._suppliers = None

    def serve_apis(self) -> AbstractContextManager[str]:
        """Serve CRM, tickets, reviews, mentions and exchange rates; it yields the base URL."""
        return api_server.serve(lambda: self.clock, lambda: self.books)

    @cached_property
    def books(self) -> dict[str, Book]:
        """What the REST APIs will ever say, made from the change log when it is first needed."""
        return api_books(self.log, seed=self.seed, start=self.start, end=self.ends_at)

    def serve_warehouse(self) -> AbstractContextManager[SftpServer | None]:
        """Serve the warehouse operator's files over SFTP; None where there is no server for it."""
        if not sftp_is_available():
            return nullcontext()
        (self.folder / "sftp").mkdir(exist_ok=True)
        return serve_sftp(self.folder / "sftp", private_key=self.folder / "sftp_host_key")

    @contextmanager
    def serve_events(self) -> Iterator[EventFeed | None]:
        """Serve the topics of shop and warehouse, which go with the clock in the context.

        The server starts beside what else is to do: the first :meth:`advance_to`, or
        :meth:`catch_up_events`, waits for it.

        Yields:
            The feed; None where Java or Kafka's jars are not there.
        """
        if kafka_folder() is None:
            yield None
            return
        folder = self.folder / "kafka"
        with serve_events(folder, self.log, start=self.start, seed=self.seed) as feed:
            self._events = feed
            try:
                yield feed
            finally:
                self._events = None

    def catch_up_events(self) -> None:
        """Wait until the topics hold what arrived before the clock.

        Raises:
            PermanentFailure: Kafka ended while starting.
            TransientFailure: Kafka does not answer.
        """
        if self._events is not None:
            self._events.advance_to(self.clock)

    @contextmanager
    def serve(self) -> Iterator[dict[str, str]]:
        """Serve every source that this machine can; yields the variables that point to them."""
        with (
            self.serve_events() as events,
            self.serve_ads() as ads_url,
            self.serve_apis() as apis_url,
            self.serve_suppliers() as suppliers_url,
            self.serve_warehouse() as warehouse,
        ):
            yield self.environment(ads_url, apis_url, suppliers_url, warehouse, events)

    def environment(
        self,
        ads_url: str,
        apis_url: str,
        suppliers_url: str | None,
        warehouse: SftpServer | None = None,
        events: EventFeed | None = None,
    ) -> dict[str, str]:
        """Environment variables that point the platform at these sources.

        Args:
            ads_url: Base URL from :meth:`serve_ads`.
            apis_url: Base URL from :meth:`serve_apis`.
            suppliers_url: URL from :meth:`serve_suppliers`; None leaves the source out.
            warehouse: Server from :meth:`serve_warehouse`; None leaves the source out.
            events: Feed from :meth:`serve_events`; None leaves the source out.
        """
        absent = {
            supplier_database.DATABASE: suppliers_url,
            WAREHOUSE: warehouse,
            event_feed.SOURCE: events,
        }
        found = {
            "RETAIL_WITHOUT_SOURCES": ",".join(name for name, at in absent.items() if at is None)
        }
        if suppliers_url is not None:
            found["SUPPLIERS_DB_URL"] = suppliers_url
        if warehouse is not None:
            found["WAREHOUSE_SFTP_ROOT"] = warehouse.url(stock_counts.FOLDER.as_posix())
            found["WAREHOUSE_SFTP_HOST_KEY"] = warehouse.host_key
            found["WAREHOUSE_SFTP_PASSWORD"] = warehouse.password
        if events is not None:
            found |= events.environ
        return {
            **found,
            "CRM_URL": f"{apis_url}/crm",
            "CRM_TOKEN_URL": f"{apis_url}/crm/oauth/token",
            "CRM_CLIENT_ID": api_server.CLIENT_ID,
            "CRM_CLIENT_SECRET": api_server.CLIENT_SECRET,
            "SUPPORT_URL": f"{apis_url}/support",
            "SUPPORT_TOKEN": api_server.SUPPORT_TOKEN,
            "FEEDBACK_URL": f"{apis_url}/feedback",
            "FEEDBACK_TOKEN": api_server.FEEDBACK_TOKEN,
            "SOCIAL_URL": f"{apis_url}/social",
            "SOCIAL_TOKEN": api_server.FEEDBACK_TOKEN,
            "RATES_URL": f"{apis_url}/rates",
            "WEB_ANALYTICS_LANDING": str(self.landing),
            "SURVEYS_LANDING": str(self.landing),
            "SALES_DB_URL": f"sqlite:///{self._database('sales')}",
            "INVENTORY_DB_URL": f"sqlite:///{self._database('inventory')}",
            "POS_LANDING": str(self.landing),
            "FACEBOOK_ADS_URL": ads_url,
            "FACEBOOK_ADS_TOKEN": ads_facebook.TOKEN,
            "FACEBOOK_ADS_ACCOUNT": ads_facebook.ACCOUNT,
            "GOOGLE_ADS_URL": ads_url,
            "GOOGLE_ADS_TOKEN_URL": f"{ads_url}{ads_google.TOKEN_PATH}",
            "GOOGLE_ADS_REFRESH_TOKEN": ads_google.REFRESH_TOKEN,
            "GOOGLE_ADS_CLIENT_ID": ads_google.CLIENT_ID,
            "GOOGLE_ADS_CLIENT_SECRET": ads_google.CLIENT_SECRET,
            "GOOGLE_ADS_DEVELOPER_TOKEN": ads_google.DEVELOPER_TOKEN,
            "GOOGLE_ADS_CUSTOMER": ads_google.CUSTOMER,
        }

    def _database(self, database: str) -> Path:
        return self.folder / f"{database}.db"

    def _advance_database(self, database: str, target: datetime) -> int:
        path = self._database(database)
        came_to = databases.read_clock(path)
        if came_to >= target:
            return 0
        changes = self.log.between(came_to, target)
        return databases.apply(path, database=database, changes=changes, clock=target)

    def _catch_up(self) -> None:
        """Finish an advance that a killed process left half done."""
        furthest = max(databases.read_clock(self._database(name)) for name in databases.DATABASES)
        if furthest > self.clock:
            self.advance_to(furthest)


def _first_start(folder: Path, *, now: datetime, start: datetime, seed: int) -> ChangeLog:
    if start > now:
        raise PermanentFailure(
            f"simulator: start {start.isoformat()} lies after now {now.isoformat()}"
        )
    weeks = {name: feed.weeks(now) for name, feed in FEEDS.items()}
    log = build_log(seed=seed, start=start, end=_end(weeks), weeks=weeks)
    folder.mkdir(parents=True, exist_ok=True)
    for database in databases.DATABASES:
        part, path = folder / f"{database}.part", folder / f"{database}.db"
        for left_over in (part, path, folder / f"{database}.db-journal"):
            left_over.unlink(missing_ok=True)
        databases.build(part, database=database, log=log, clock=start)
        part.replace(path)
    first_day = start.astimezone(POS_ZONE).date() - timedelta(days=LANDING_DAYS)
    landing_from = datetime.combine(first_day, time(), POS_ZONE).astimezone(UTC)
    PosFeed(weeks["pos"]).drop(folder / "landing", after=landing_from, until=start)
    for feed in JSON_FEEDS.values():
        feed.drop(folder / "landing", after=landing_from, until=start, seed=seed)
    State(
        seed=seed,
        now=now,
        start=start,
        landing_from=landing_from,
        weeks=weeks,
        log_sha256=log.digest(),
        clock=start,
    ).write(folder / "state.json")
    return log


def _end(weeks: dict[str, int]) -> datetime:
    return min(feed.end(weeks[name]) for name, feed in FEEDS.items())


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise PermanentFailure(f"simulator: {at.isoformat()} has no time zone; give an aware time")
    return at.astimezone(UTC)
