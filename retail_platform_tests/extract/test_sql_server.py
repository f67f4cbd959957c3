"""SQL Server's dialect and driver against a server that speaks its protocol.

The server (`tds_server`) proves login, encryption, the catalogue's queries, windows and the bytes
of each type as Microsoft's own driver reads them. It is no SQL Server: that T-SQL runs there as
its documentation says, that plans use an index and that permissions are refused in these words is
not proven here.
"""

import math
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pyarrow as pa
import pytest

from retail_platform.extract.sql import SqlSource
from retail_platform.extract.sql_partitioned import Partitioning
from retail_platform.extract.window import Window
from retail_platform.failures import PermanentFailure, PlatformFailure, TransientFailure
from retail_platform_tests.extract.tds_server import PASSWORD, SqlServer

HOUR = datetime(2026, 11, 20, 14, tzinfo=UTC)  # 06:00 in Los Angeles
EVERYTHING = Window(hour=HOUR, start=None, end=HOUR + timedelta(hours=1), initial=True)
ZONE = "America/Los_Angeles"


@pytest.fixture
def server(tds_server: SqlServer) -> SqlServer:
    tds_server.clear()
    return tds_server


def source(server: SqlServer, zone: str = ZONE) -> SqlSource:
    return SqlSource(server.url(), zone, name="erp")


def read(server: SqlServer, table: str) -> pa.Table:
    erp = source(server)
    columns = list(erp.columns(table))
    return erp.read(table=table, columns=columns, watermark=None, window=EVERYTHING).read_all()


TYPES = {
    "tinyint": ("255", 255),
    "smallint": ("-32768", -32768),
    "int": ("-2147483648", -(2**31)),
    "bigint": ("9223372036854775807", 2**63 - 1),
    "bit": ("1", True),
    "decimal(38,10)": ("1234567890123456789012345678.0123456789",) * 2,
    "decimal(38,18)": ("0.000000000000000001",) * 2,
    "numeric(9,2)": ("-1234567.80",) * 2,
    "money": ("922337203685477.5807",) * 2,
    "smallmoney": ("-214748.3648",) * 2,
    "float": ("0.1", 0.1),
    "real": ("1.1", "1.1"),
    "date": ("2026-01-05", date(2026, 1, 5)),
    "time(7)": ("23:59:59.9999999",) * 2,
    "time(0)": ("23:59:59",) * 2,
    "datetime": ("2026-01-05 10:00:00.003", datetime.fromisoformat("2026-01-05 10:00:00.003")),
    "smalldatetime": ("2026-01-05 10:01:00", datetime.fromisoformat("2026-01-05 10:01")),
    "datetime2(7)": ("9999-12-31 23:59:59.9999999",) * 2,
    "datetime2(3)": ("0001-01-01 00:00:00.001",) * 2,
    "datetimeoffset(7)": (
        "2026-01-05 10:00:00.1234567 -08:30",
        "2026-01-05 10:00:00.1234567-08:30",
    ),
    "datetimeoffset(0)": ("2026-01-05 10:00:00 +05:30", "2026-01-05 10:00:00+05:30"),
    "rowversion": ("00000000000007D1", "0x00000000000007D1"),
    "uniqueidentifier": ("6F9619FF-8B86-D011-B42D-00C04FC964FF",) * 2,
    "char(5)": ("ab   ",) * 2,
    "varchar(20)": ("café",) * 2,
    "nvarchar(40)": ("zażółć gęślą 😀",) * 2,
    "nvarchar(max)": ("ż" * 9000,) * 2,
    "varchar(max)": ("x" * 9000,) * 2,
    "xml": ("<a>ż</a>",) * 2,
    "binary(4)": ("0102FF00", "0x0102FF00"),
    "varbinary(max)": ("0102FF", "0x0102FF"),
}


@pytest.mark.parametrize("declared", TYPES)
def test_each_type_arrives_exactly(server: SqlServer, declared: str) -> None:
    """What Arrow would round or cannot hold as SQL Server's text, and NULL as NULL."""
    written, expected = TYPES[declared]
    server.create("kinds", {"id": "int", "value": declared})
    server.insert("kinds", ("1", written), ("2", None))
    assert read(server, "kinds")["value"].to_pylist() == [expected, None]


def test_the_catalogue_says_timestamp_for_a_rowversion(server: SqlServer) -> None:
    """Which is no time: as a watermark of moments it is refused before anything is asked."""
    server.create("sales.orders", {"id": "int", "Version": "rowversion"})
    assert source(server).columns("sales.orders") == {"id": "int", "Version": "timestamp"}
    with pytest.raises(PermanentFailure, match="watermark column Version is declared timestamp"):
        source(server).count("sales.orders", "Version", EVERYTHING)


def orders(server: SqlServer, declared: str, *stamps: str | None) -> None:
    server.create("sales.orders", {"id": "int", "changed": declared})
    server.insert("sales.orders", *((str(n), stamp) for n, stamp in enumerate(stamps, 1)))


def ids(server: SqlServer, window: Window) -> list[int]:
    erp = source(server)
    reader = erp.read(table="sales.orders", columns=["id"], watermark="changed", window=window)
    found = sorted(reader.read_all()["id"].to_pylist())
    assert erp.count("sales.orders", "changed", window) == len(found)
    return found


@pytest.mark.parametrize("declared", ["datetime", "datetime2(7)"])
def test_windows_of_naive_watermarks_are_local_and_half_open(
    server: SqlServer, declared: str
) -> None:
    ties = ("05:59:59.997", "06:00:00.000", "06:59:59.997", "07:00:00.000")
    orders(server, declared, *(f"2026-11-20 {time}" for time in ties), None, "2099-01-01 00:00:00")
    plain = Window.of_hour(HOUR, buffer=timedelta(), initial=False)
    latest = Window.of_hour(HOUR, buffer=timedelta(), initial=False, latest=True)
    assert ids(server, plain) == [2, 3]
    assert ids(server, EVERYTHING) == [1, 2, 3]
    assert ids(server, latest) == [2, 3, 5, 6]
    hours = [HOUR, HOUR + timedelta(hours=1), HOUR + timedelta(hours=2)]
    assert source(server).hourly("sales.orders", "changed", hours) == {
        hours[0]: (2, datetime(2026, 11, 20, 14, 59, 59, 997_000, tzinfo=UTC)),
        hours[1]: (1, datetime(2026, 11, 20, 15, tzinfo=UTC)),
        hours[2]: (0, None),
    }
    assert source(server).greatest("sales.orders", "changed", hours[:2]) == [
        datetime(2026, 11, 20, 13, 59, 59, 997_000, tzinfo=UTC),
        datetime(2026, 11, 20, 14, 59, 59, 997_000, tzinfo=UTC),
    ]


def test_windows_of_moments_with_an_offset(server: SqlServer) -> None:
    orders(
        server,
        "datetimeoffset(7)",
        "2026-11-20 05:59:59.9999999 -08:00",
        "2026-11-20 19:30:00.0000000 +05:30",
        "2026-11-20 15:00:00.0000000 +00:00",
    )
    assert ids(server, Window.of_hour(HOUR, buffer=timedelta(), initial=False)) == [2]
    (latest,) = source(server).greatest("sales.orders", "changed", [HOUR + timedelta(hours=1)])
    assert latest == HOUR


def test_counts_and_extents_are_of_64_bits(server: SqlServer) -> None:
    orders(server, "datetime2(7)", "2026-11-20 06:00:00")
    found = source(server).extent("sales.orders", ["id"], "changed", EVERYTHING)
    assert found == (1, {"id": (1, 1)})
    assert any("COUNT_BIG(*)" in text for text in server.asked)


def test_the_clock_is_utc(server: SqlServer) -> None:
    assert abs(source(server).clock() - datetime.now(UTC)) < timedelta(seconds=5)


def test_missing_tables_and_columns_name_those_that_exist(server: SqlServer) -> None:
    orders(server, "datetime2(7)")
    with pytest.raises(PermanentFailure, match=r"table sales\.order: .*tables there: orders"):
        source(server).columns("sales.order")
    with pytest.raises(PermanentFailure, match="no column total; columns there: id, changed"):
        source(server).count("sales.orders", "total", EVERYTHING)


def test_what_the_server_refuses_is_permanent(server: SqlServer) -> None:
    """A view that has gone since it was looked at: error 208 is not tried again."""
    orders(server, "datetime2(7)")
    server.execute("DROP TABLE sales.orders")
    with pytest.raises(PermanentFailure, match=r"refused the query.*Invalid object name"):
        source(server).count("sales.orders", None, EVERYTHING)


def test_no_query_runs_in_a_transaction(server: SqlServer) -> None:
    """Locks of a forgotten one would stop the source; the library opens and ends empty ones."""
    orders(server, "datetime2(7)", "2026-11-20 06:00:00")
    reader = source(server).read(
        table="sales.orders", columns=["id"], watermark=None, window=EVERYTHING
    )
    del reader
    assert source(server).count("sales.orders", None, EVERYTHING) == 1
    for text, following in pairwise(server.asked):
        assert text != "BEGIN TRANSACTION" or following == "ROLLBACK"


@contextmanager
def cut_line(port: int, after: int) -> Iterator[int]:
    """The port of a line to a server that breaks once so many bytes have come from there."""
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = []

    def forward(origin: socket.socket, goal: socket.socket, limit: float) -> None:
        passed = 0
        while passed < limit and (data := origin.recv(65_536)):
            goal.sendall(data)
            passed += len(data)
        for end in (origin, goal):
            with suppress(OSError):  # The other direction may have ended it already.
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):  # The listener is closed when the test ends.
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                ends.extend((client, server))
                for way in ((client, server, math.inf), (server, client, after)):
                    threading.Thread(target=forward, args=way, daemon=True).start()

    accepting = threading.Thread(target=serve)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for end in ends:
            end.close()


def test_a_line_that_breaks_half_way_is_transient(server: SqlServer) -> None:
    """The batches before it are good; the next one says that the read broke off."""
    # Of a bounded type: for others the driver keeps the interpreter, and this server, waiting.
    server.create("long", {"id": "int", "text": "nvarchar(200)"})
    server.execute("INSERT INTO dbo.long SELECT range, repeat('x', 200) FROM range(40_000)")
    with cut_line(server.port, after=10_000_000) as port:
        url = server.url().replace(str(server.port), str(port))
        reader = SqlSource(url, ZONE, name="erp").read(
            table="long", columns=["id", "text"], watermark=None, window=EVERYTHING
        )
        assert reader.read_next_batch().num_rows > 0
        with pytest.raises(TransientFailure, match=r"table long: reading from .* broke off"):
            reader.read_all()
    assert read(server, "long").num_rows == 40_000


def failing(url: str, capfd: pytest.CaptureFixture[str]) -> tuple[PlatformFailure, str]:
    """The failure, and all that anybody could have read of it."""
    with pytest.raises(PlatformFailure) as raised:
        SqlSource(url, ZONE, name="erp").clock()
    shown = "".join(traceback.format_exception(raised.value))
    output = capfd.readouterr()
    return raised.value, shown + output.out + output.err


def test_a_password_is_used_and_never_shown(
    server: SqlServer, capfd: pytest.CaptureFixture[str]
) -> None:
    assert source(server).clock()
    wrong = server.url(password=PASSWORD + "x")
    failure, text = failing(wrong, capfd)
    assert isinstance(failure, PermanentFailure)
    assert "Login failed" in text
    for url in (server.url(Encrypted="yes"), server.url(Encrypt="nonsense")):
        failure, further = failing(url, capfd)
        assert isinstance(failure, PermanentFailure)
        text += further
    for secret in (PASSWORD, PASSWORD.replace("}", "}}"), "S3cret"):
        assert secret not in text


def test_a_certificate_of_nobody_is_refused(server: SqlServer) -> None:
    """The server's certificate is its own: without trust in it nothing is sent."""
    url = server.url(TrustServerCertificate="no")
    with pytest.raises(PlatformFailure, match=r"(?i)certificate"):
        SqlSource(url, ZONE, name="erp").clock()


def test_a_server_that_is_not_there_is_transient_and_quick(server: SqlServer) -> None:
    url = server.url().replace(str(server.port), "1")
    with pytest.raises(TransientFailure, match="cannot be reached"):
        SqlSource(url, ZONE, name="erp").clock()


@pytest.mark.parametrize("keeps_versions", [True, False])
def test_snapshot_isolation_is_asked_for_where_the_database_allows_it(
    server: SqlServer, keeps_versions: bool
) -> None:
    """Before each query, over its own connection; whether it is allowed is asked once.

    That SQL Server then gives one state of all that is read is not proved here.
    """
    server.keeps_versions = keeps_versions
    server.create("things", {"id": "int", "label": "nvarchar(20)"})
    server.insert("things", *[(str(number), f"label {number}") for number in range(100)])
    level = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT"
    with closing(source(server)) as erp:
        rows = erp.read(
            table="things",
            columns=["id", "label"],
            watermark=None,
            window=EVERYTHING,
            partitioned=Partitioning(column="id", connections=3, ranges=5),
        ).read_all()
    assert sorted(rows["id"].to_pylist()) == list(range(100))
    queries = [text for text in server.asked if "SELECT" in text.upper()]
    assert sum("[sys].[databases]" in text for text in queries) == 1
    ranges = [text for text in queries if "[id] >=" in text or "[id] <" in text]
    assert len(ranges) == 5
    levels = sum(level in text for text in server.asked)
    assert levels == (len(queries) - 1 if keeps_versions else 0)
