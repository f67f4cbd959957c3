"""The control database as a Dagster resource."""

from functools import cached_property

import dagster as dg
import sqlalchemy as sa

from retail_platform.control.calls import ApiCalls
from retail_platform.control.database import open_control
from retail_platform.control.decisions import QuarantineDecisions
from retail_platform.control.files import FileRegistry
from retail_platform.control.ledger import Ledger
from retail_platform.control.requests import Requests
from retail_platform.settings import Settings


class ControlResource(dg.ConfigurableResource):
    """The control database, on its current schema from the first use on.

    Attributes:
        url: SQLAlchemy URL.
    """

    url: str

    @classmethod
    def of(cls, settings: Settings) -> "ControlResource":
        """The resource that the settings describe."""
        return cls(url=settings.control_url)

    @cached_property
    def engine(self) -> sa.Engine:
        """SQLAlchemy engine."""
        return open_control(self.url)

    @cached_property
    def ledger(self) -> Ledger:
        """The load ledger."""
        return Ledger(self.engine)

    @cached_property
    def requests(self) -> Requests:
        """The requests over ranges of hours."""
        return Requests(self.engine)

    @cached_property
    def files(self) -> FileRegistry:
        """The registry of files that were taken in."""
        return FileRegistry(self.engine)

    @cached_property
    def calls(self) -> ApiCalls:
        """The calls of APIs that have a budget."""
        return ApiCalls(self.engine)

    @cached_property
    def decisions(self) -> QuarantineDecisions:
        """Decisions on quarantined rows."""
        return QuarantineDecisions(self.engine)
