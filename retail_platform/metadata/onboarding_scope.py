"""Which tables onboarding means: patterns, sources, and how each kind of source is asked.

Nothing is proposed here; that is in ``onboarding_proposal``.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Literal, Protocol

import sqlalchemy as sa
from pydantic import ValidationError

from retail_platform.extract.file_roots import open_root
from retail_platform.extract.sql import SqlSource
from retail_platform.extract.sql_dialects import dialect_of
from retail_platform.extract.sql_odbc import OdbcDriver
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.connections import (
    Connection,
    FilesConnection,
    FromEnvironment,
    OdbcConnection,
    SqlConnection,
)
from retail_platform.metadata.loader import Catalog, Table
from retail_platform.metadata.onboarding_catalogue import CatalogueDescriber
from retail_platform.metadata.onboarding_files import describe_files
from retail_platform.metadata.onboarding_odbc import OdbcTables
from retail_platform.metadata.onboarding_sql import SqlDescriber
from retail_platform.metadata.onboarding_sql_server import SqlServerCatalogue
from retail_platform.metadata.onboarding_tables import SourceTable

_SHOWN_NAMES = 40
_CATALOGUE_TIMEOUT = timedelta(minutes=5)
_NO_ZONE = "UTC"
"""Nothing is asked by time."""


@dataclass(frozen=True, kw_only=True)
class NewSource:
    """A source that has no file yet.

    Attributes:
        name: Its name.
        kind: ``sql``, ``odbc`` or ``files``.
        variable: Environment variable with the database's URL, its ODBC connection string, or the
            folder.
        timezone: IANA zone of its naive timestamps.
        login: For files that lie elsewhere: variables by setting, ``{"sftp.password": "PASS"}``.
        dialect: For ODBC: the database's SQL, as sqlglot calls it.
        clock_query: For databases: query of its present; ODBC has none of its own.
    """

    name: str
    kind: Literal["sql", "odbc", "files"]
    variable: str
    timezone: str
    login: Mapping[str, str] = field(default_factory=dict)
    dialect: str | None = None
    clock_query: str | None = None

    @property
    def login_blocks(self) -> dict[str, dict[str, str]]:
        """The login as the source's file has it: variables by block and setting."""
        blocks: dict[str, dict[str, str]] = {}
        for setting, variable in self.login.items():
            block, _, key = setting.partition(".")
            blocks.setdefault(block, {})[key] = variable
        return blocks

    def files_connection(self) -> FilesConnection:
        """The connection of a source of files.

        Raises:
            PermanentFailure: the login has a setting that there is not, or lacks one.
        """
        blocks = {
            block: {key: {"env": variable} for key, variable in settings.items()}
            for block, settings in self.login_blocks.items()
        }
        try:
            return FilesConnection.model_validate(
                {
                    "kind": "files",
                    "root": {"env": self.variable},
                    "timezone": self.timezone,
                    **blocks,
                }
            )
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
            )
            raise PermanentFailure(
                f"source {self.name}: its login is not whole: {wrong}; settings are "
                "sftp.host_key, sftp.password, sftp.private_key, sftp.passphrase, "
                "azure.account_key, azure.sas and azure.endpoint"
            ) from error


class Describer(Protocol):
    """A source that can say what it holds."""

    def names(self) -> list[str]:
        """Its tables and views."""
        ...

    def views(self) -> set[str]:
        """Those of them that are views."""
        ...

    def describe(self, names: Sequence[str]) -> list[SourceTable]:
        """What can be known of some of its tables."""
        ...

    def unique(self, table: str, columns: Sequence[str]) -> bool:
        """Whether no two rows of a table agree in some columns."""
        ...


class _Files:
    """The tables of a landing folder, as those of a database are asked for."""

    def __init__(
        self, connection: FilesConnection, source: str, environ: Mapping[str, str]
    ) -> None:
        def value(setting: FromEnvironment) -> str:
            return _value(source, setting.env, environ)

        with closing(open_root(connection, value, name=f"source {source}")) as store:
            self._tables = {table.name: table for table in describe_files(store, source)}

    def names(self) -> list[str]:
        return sorted(self._tables)

    def views(self) -> set[str]:
        return set()

    def describe(self, names: Sequence[str]) -> list[SourceTable]:
        return [self._tables[name] for name in names]

    def unique(self, table: str, columns: Sequence[str]) -> bool:
        raise AssertionError(f"{table}: files have file and line as their key, not {columns}")


def by_source(
    patterns: Sequence[str], new_source: NewSource | None, catalog: Catalog
) -> dict[str, list[str]]:
    """The patterns of each source.

    Raises:
        PermanentFailure: a pattern names no source.
    """
    found: dict[str, list[str]] = {}
    for pattern in patterns:
        plain = pattern.replace('"', "").replace("'", "").replace("`", "")
        source, dot, table = plain.partition(".")
        if new_source is not None:
            table = table if dot and source == new_source.name else plain
            source = new_source.name
        elif not dot or source not in catalog.sources:
            raise PermanentFailure(
                f"{pattern!r} names no source of the catalog; expected SOURCE.TABLE with one of "
                f"{', '.join(catalog.sources) or 'none yet'}. For a new one add --new-source NAME "
                "--url-env VARIABLE --timezone ZONE."
            )
        found.setdefault(source, []).append(table)
    return found


def describer_of(
    source: str, own: Sequence[Table], new_source: NewSource | None, environ: Mapping[str, str]
) -> Describer:
    """Opens a source to be asked.

    Raises:
        PermanentFailure: its kind cannot be asked, or its address is not set.
    """
    connection: Connection | None = own[0].connection if own else None
    if isinstance(connection, SqlConnection):
        url = _value(source, connection.url.env, environ)
        return _sql_describer(url, source)
    if isinstance(connection, OdbcConnection):
        text = _value(source, connection.connection_string.env, environ)
        return _odbc_describer(text, source, connection.dialect)
    if isinstance(connection, FilesConnection):
        return _Files(connection, source, environ)
    if connection is None and new_source is not None:
        if new_source.kind == "files":
            return _Files(new_source.files_connection(), source, environ)
        url = _value(source, new_source.variable, environ)
        if new_source.kind == "odbc":
            return _odbc_describer(url, source, new_source.dialect or "")
        return _sql_describer(url, source)
    kind = connection.kind if connection is not None else "unknown"
    raise PermanentFailure(
        f"source {source} is of kind {kind}: onboard looks into SQL databases and landing folders "
        "only. The tables of an API are fixed by its reader: write the row into "
        f"sources/{source}.yaml and the contract with the reader's columns, after the example of "
        "the rows that are there."
    )


def _sql_describer(url: str, source: str) -> Describer:
    if dialect_of(sa.make_url(url).get_backend_name()).name != "mssql":
        return SqlDescriber(url, source)
    database = SqlSource(url, _NO_ZONE, name=source)
    return CatalogueDescriber(database, SqlServerCatalogue(database))


def _odbc_describer(connection: str, source: str, dialect: str) -> Describer:
    database = SqlSource(connection, _NO_ZONE, name=source, odbc=dialect)
    driver = OdbcDriver(connection, source, _CATALOGUE_TIMEOUT)
    return CatalogueDescriber(database, OdbcTables(driver, dialect, source))


def _value(source: str, variable: str, environ: Mapping[str, str]) -> str:
    if not environ.get(variable):
        raise PermanentFailure(
            f"source {source} needs the environment variable {variable}, which is not set; set it "
            "to the address of the source"
        )
    return environ[variable]


def names_of(
    source: str, asked: Sequence[str], describer: Describer, own: Sequence[Table]
) -> list[str]:
    """The tables of a source that patterns mean.

    Raises:
        PermanentFailure: a pattern matches none.
    """
    existing = describer.names()
    clocks = " ".join(
        t.connection.clock_query or ""
        for t in own
        if isinstance(t.connection, SqlConnection | OdbcConnection)
    ).split()
    hidden = describer.views() | {name for name in existing if name in clocks}
    found: dict[str, None] = {}
    for pattern in asked:
        matching = _matching(pattern, existing, hidden)
        if not matching:
            shown = ", ".join(existing[:_SHOWN_NAMES]) + (
                f" and {len(existing) - _SHOWN_NAMES} more" if len(existing) > _SHOWN_NAMES else ""
            )
            raise PermanentFailure(
                f"source {source} has no table {pattern}; it has: {shown or 'none'}. Quote "
                "wildcards, so that the shell does not put file names in their place."
            )
        found |= dict.fromkeys(matching)
    return list(found)


def _matching(pattern: str, existing: Sequence[str], hidden: Collection[str]) -> list[str]:
    if pattern in existing:
        return [pattern]
    lowered = pattern.lower()
    same = [name for name in existing if name.lower() == lowered]
    if same or not any(sign in pattern for sign in "*?["):
        return same
    # A star does not cross the dot: tables of other schemas are asked for by schema.
    return [
        name
        for name in existing
        if name.count(".") == pattern.count(".")
        and name not in hidden
        and fnmatchcase(name.lower(), lowered)
    ]
