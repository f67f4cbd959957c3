"""Opens the reader of a table from its source's connection; secrets are read here and only here."""

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager

from retail_platform.control.calls import ApiCalls
from retail_platform.control.files import FileRegistry
from retail_platform.extract.ads_opening import open_ads
from retail_platform.extract.changes_reader import ChangesReader
from retail_platform.extract.file_roots import open_root
from retail_platform.extract.files_reader import FilesReader, file_source
from retail_platform.extract.kafka_opening import kafka_resource
from retail_platform.extract.kafka_reader import KafkaReader
from retail_platform.extract.nested import Flattener
from retail_platform.extract.reader import PlanningReader
from retail_platform.extract.rest_reader import rest_api, rest_reader
from retail_platform.extract.sql import SqlSource
from retail_platform.extract.sql_reader import SqlReader
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.connections import (
    FacebookAdsConnection,
    FilesConnection,
    FromEnvironment,
    GoogleAdsConnection,
    KafkaConnection,
    OdbcConnection,
    RestConnection,
    SqlConnection,
)
from retail_platform.metadata.loader import Table


@contextmanager
def open_reader(
    table: Table,
    files: FileRegistry,
    environ: Mapping[str, str] = os.environ,
    calls: ApiCalls | None = None,
) -> Generator[PlanningReader, None, None]:
    """The reader of a table's source.

    Args:
        table: The table's metadata.
        files: Registry of files that were taken in.
        environ: Where the connection's secrets are.
        calls: Counts calls of APIs, for sources that have a budget. None for a plan, which asks
            no more than what time it is and leaves no trace.

    Raises:
        PermanentFailure: a variable that the connection names is not set.
    """

    def value(setting: FromEnvironment) -> str:
        found = environ.get(setting.env)
        if not found:
            raise PermanentFailure(
                f"bronze.{table.bronze}: source {table.source} needs the environment variable "
                f"{setting.env}, which is not set. `retail-platform demo` sets it for the "
                "simulator; set it to your own source otherwise."
            )
        return found

    match table.connection:
        case SqlConnection() | OdbcConnection() as connection:
            source = _sql_source(connection, value, name=table.source)
            of_changes = table.row.load == "changes"
            with closing(
                ChangesReader(source, table) if of_changes else SqlReader(source)
            ) as reader:
                yield reader
        case FilesConnection() as connection:
            store = open_root(connection, value, name=f"bronze.{table.bronze}")
            flattener = Flattener.of(table) if table.row.is_nested else None
            with closing(file_source(table, store, flattener)) as source:
                yield FilesReader(source, files, flattener)
        case FacebookAdsConnection() | GoogleAdsConnection() as connection:
            with open_ads(table, connection, value, calls) as reader:
                yield reader
        case KafkaConnection() as connection:
            assert table.row.stream is not None, "the loader lets no other table of a topic pass"
            kafka = kafka_resource(connection, environ, place=f"bronze.{table.bronze}")
            topic = kafka.topic(table.row.stream.topic, name=f"bronze.{table.bronze}")
            with closing(KafkaReader(topic)) as reader:
                yield reader
        case RestConnection() as connection:
            with rest_api(connection, table.source, value) as api:
                yield rest_reader(table, connection, api)


def _sql_source(
    connection: SqlConnection | OdbcConnection,
    value: Callable[[FromEnvironment], str],
    *,
    name: str,
) -> SqlSource:
    odbc = isinstance(connection, OdbcConnection)
    return SqlSource(
        value(connection.connection_string if odbc else connection.url),
        connection.timezone,
        connection.clock_query,
        name=name,
        timeout=connection.timeout,
        max_connections=connection.max_connections,
        odbc=connection.dialect if odbc else None,
    )
