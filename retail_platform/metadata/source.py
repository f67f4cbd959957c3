"""A file of ``catalog/sources``: a connection, its tables, and how these fit it.

Not here: the shapes of connections (`connections`) and rows (`models`), and what takes several
files to see (`loader`).
"""

from pydantic import Field, model_validator

from retail_platform.metadata.connections import Connection
from retail_platform.metadata.live import LiveRow
from retail_platform.metadata.models import TableRow
from retail_platform.metadata.nested import nested_families
from retail_platform.metadata.values import Frozen, Name


class Source(Frozen):
    """A file of ``catalog/sources``: one connection and its tables.

    Attributes:
        source: Name of the source.
        description: What it is, for people.
        owners: Dagster owners: e-mail addresses or ``team:name``.
        connection: How to reach it.
        tables: One row per table.
        live: Tables beside the hours, kept current by micro-batches of a topic.
    """

    source: Name
    description: str = ""
    owners: tuple[str, ...] = ()
    connection: Connection
    tables: tuple[TableRow, ...] = Field(min_length=1)
    live: tuple[LiveRow, ...] = ()

    @model_validator(mode="after")
    def _reports_fit_the_connection(self) -> "Source":
        kind = self.connection.kind
        for row in self.tables:
            if row.gaql is not None and kind != "google_ads":
                raise ValueError(f"table {row.table}: gaql goes with kind: google_ads, not {kind}")
            if row.insights is not None and kind != "facebook_ads":
                raise ValueError(
                    f"table {row.table}: insights goes with kind: facebook_ads, not {kind}"
                )
            if row.gaql is None and kind == "google_ads":
                raise ValueError(
                    f"table {row.table}: say what to ask for, gaql: {{resource: campaign, fields: "
                    "{account_id: customer.id, ...}}"
                )
            if kind in ("google_ads", "facebook_ads") and row.load != "restated":
                raise ValueError(f"table {row.table}: ad platforms are read with load: restated")
        return self

    @model_validator(mode="before")
    @classmethod
    def _children_know_their_parents(cls, value: object) -> object:
        return nested_families(value)

    @model_validator(mode="after")
    def _sql_goes_with_sql(self) -> "Source":
        for row in self.tables:
            for name in ("changes", "read"):
                if name in row.model_fields_set and self.connection.kind != "sql":
                    raise ValueError(
                        f"table {row.table}: {name} goes with connection: {{kind: sql}}, not "
                        f"{self.connection.kind}"
                    )
        return self

    @model_validator(mode="after")
    def _rest_goes_with_rest(self) -> "Source":
        for row in self.tables:
            if (self.connection.kind == "rest") != (row.rest is not None):
                raise ValueError(
                    f"table {row.table}: rest goes with connection: {{kind: rest}}, and only there"
                )
        return self
