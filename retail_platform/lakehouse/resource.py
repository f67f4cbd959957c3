"""The lake as a Dagster resource: one engine and one session a run, shared by all of its steps."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import dagster as dg
from pydantic import PrivateAttr

from retail_platform.bronze.ledger_copy import ensure_ledger_copy
from retail_platform.lakehouse.engine import EngineSession, open_engine
from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.metadata.loader import load_catalog
from retail_platform.settings import Engine, Settings
from retail_platform.silver.stored import ensure_stored

ABANDONED_AFTER = timedelta(days=2)


class LakehouseResource(dg.ConfigurableResource):
    """Opens the engine at the start of a run and makes every table known to SQL.

    Silver and quarantine tables that do not exist yet are created empty, so that each part of the
    graph can run alone.

    Attributes:
        lake_url: Root of the lake.
        catalog: Folder of the metadata.
        engine: Name of the engine: ``embedded`` or ``spark``.
        engine_url: ``sc://`` URL of a running server; empty starts an own engine.
    """

    lake_url: str
    catalog: str
    engine: str = Engine.EMBEDDED.value
    engine_url: str = ""

    _session: EngineSession | None = PrivateAttr(default=None)
    _lake: Lakehouse | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, settings: Settings) -> "LakehouseResource":
        """The resource that the settings describe."""
        return cls(
            lake_url=settings.lake_url,
            catalog=str(settings.catalog),
            engine=settings.engine.value,
            engine_url=settings.engine_url or "",
        )

    @contextmanager
    def yield_for_execution(
        self, context: dg.InitResourceContext
    ) -> Generator["LakehouseResource", None, None]:
        """Opens engine and session for one run."""
        del context
        with self.opened():
            yield self

    @contextmanager
    def opened(self) -> Generator["LakehouseResource", None, None]:
        """The same outside of Dagster."""
        with open_engine(Engine(self.engine), self.engine_url or None) as session:
            self._session = session
            self._lake = Lakehouse(
                session.spark, self.lake_url, direct=self.engine == Engine.EMBEDDED
            )
            self.lake.remove_abandoned_staging(older_than=ABANDONED_AFTER)
            self.refresh_catalog()
            try:
                yield self
            finally:
                self._session = self._lake = None

    def refresh_catalog(self) -> None:
        """Creates missing Silver tables, also of sources left out, and registers all that exist."""
        lake = self.lake
        ensure_ledger_copy(lake)
        for table in load_catalog(Path(self.catalog)).tables:
            ensure_stored(lake, table)
        lake.ensure_database("gold")
        for name in lake.tables("gold"):
            lake.register("gold", name)

    @property
    def session(self) -> EngineSession:
        """The open session."""
        if self._session is None:
            raise _not_open()
        return self._session

    @property
    def lake(self) -> Lakehouse:
        """Tables of the lake through the open session."""
        if self._lake is None:
            raise _not_open()
        return self._lake

    @property
    def remote_url(self) -> str:
        """``sc://`` URL that joins the open session from another process."""
        return self.session.remote_url

    @property
    def gold_root(self) -> str:
        """Location of the Gold tables."""
        return f"{self.lake_url}/gold"


def _not_open() -> RuntimeError:
    return RuntimeError("the lakehouse is not open: use it inside a run or `opened()`")
