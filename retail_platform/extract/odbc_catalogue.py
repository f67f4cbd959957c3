"""ODBC's catalogue functions, which arrow-odbc does not offer, over unixODBC (odbc32 on Windows).

Belongs here: calling them, and their rows as texts. Not here: rows of tables (`sql_odbc`), and what
is made of a catalogue. Source: Microsoft's ODBC reference, SQLTables, SQLColumns, SQLPrimaryKeys,
SQLForeignKeys and SQLStatistics, whose result columns are told by their place.
"""

import ctypes
import ctypes.util
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager

_ENVIRONMENT, _CONNECTION, _STATEMENT = 1, 2, 3
_SUCCESS, _SUCCESS_WITH_INFO, _NO_DATA = 0, 1, 100
_TEXT_AS_UTF16 = -8
_NULL = -1
_ENDS_WITH_ZERO = -3
_ODBC_VERSION, _VERSION_3 = 200, 3
_LOGIN_TIMEOUT = 103
_ALL_INDEXES, _ESTIMATES = 1, 0
_MOST_CHARACTERS = 4096
_NOT_THERE = ("IM001", "HYC00")
"""States of a function that a driver does not have."""

_TABLES = {2: "schema", 3: "name", 4: "type", 5: "comment"}
_COLUMNS = {
    2: "schema",
    3: "table",
    4: "name",
    5: "code",
    6: "type",
    7: "size",
    9: "scale",
    11: "nullable",
    12: "comment",
}
_PRIMARY = {4: "name", 5: "place"}
_FOREIGN = {
    2: "referred_schema",
    3: "referred_table",
    4: "referred",
    8: "name",
    9: "place",
    12: "key",
}
_STATISTICS = {
    4: "not_unique",
    6: "index",
    7: "kind",
    8: "place",
    9: "name",
    11: "rows",
    13: "filter",
}
Row = dict[str, str | None]


class OdbcError(RuntimeError):
    """What the driver manager or a driver refused.

    Attributes:
        state: SQLSTATE of five characters; empty where none was told.
    """

    def __init__(self, text: str, state: str = "") -> None:
        """Keep the state."""
        super().__init__(text)
        self.state = state

    @property
    def of_no_such_function(self) -> bool:
        """Whether the driver does not have what was called."""
        return self.state in _NOT_THERE


class OdbcCatalogue:
    """Catalogue functions of one open connection; `odbc_catalogue` opens it."""

    def __init__(self, library: ctypes.CDLL, connection: ctypes.c_void_p) -> None:
        self._library = library
        self._connection = connection

    def tables(self) -> list[Row]:
        """``schema``, ``name``, ``type`` (TABLE or VIEW) and ``comment`` of tables and views.

        Raises:
            OdbcError: the driver cannot say.
        """
        return self._rows("SQLTablesW", _TABLES, None, None, None, "TABLE,VIEW")

    def columns(self, schema: str | None, table: str) -> list[Row]:
        """``name``, ``type``, ``code``, ``size``, ``scale``, ``nullable``, ``comment``, in order.

        Raises:
            OdbcError: the driver cannot say.
        """
        found = self._rows("SQLColumnsW", _COLUMNS, None, schema, table, None)
        # Names are patterns there, in which an underscore is any character.
        return [row for row in found if row["table"] == table and (row["schema"] or None) == schema]

    def primary_key(self, schema: str | None, table: str) -> list[Row]:
        """``name`` and ``place`` (from 1) of the key's columns; none where nobody knows."""
        return self._known("SQLPrimaryKeysW", _PRIMARY, None, schema, table)

    def foreign_keys(self, schema: str | None, table: str) -> list[Row]:
        """Columns that refer to other tables, and to which; none where nobody knows."""
        return self._known("SQLForeignKeysW", _FOREIGN, None, None, None, None, schema, table)

    def statistics(self, schema: str | None, table: str) -> list[Row]:
        """Columns of indexes, and the table's number of rows; none where nobody knows."""
        quick = (_ALL_INDEXES, _ESTIMATES)
        return self._known("SQLStatisticsW", _STATISTICS, None, schema, table, numbers=quick)

    def _known(
        self,
        function: str,
        places: Mapping[int, str],
        *names: str | None,
        numbers: tuple[int, ...] = (),
    ) -> list[Row]:
        try:
            return self._rows(function, places, *names, numbers=numbers)
        except OdbcError as error:
            if not error.of_no_such_function:
                raise
            return []

    def _rows(
        self,
        function: str,
        places: Mapping[int, str],
        *names: str | None,
        numbers: tuple[int, ...] = (),
    ) -> list[Row]:
        with _handle(self._library, _STATEMENT, self._connection) as statement:
            arguments: list[object] = []
            for name in names:
                text = None if name is None else _utf16(name)
                arguments += [text, ctypes.c_short(0 if text is None else _ENDS_WITH_ZERO)]
            arguments += [ctypes.c_ushort(number) for number in numbers]
            called = getattr(self._library, function)(statement, *arguments)
            _check(self._library, called, _STATEMENT, statement)
            found: list[Row] = []
            while (code := _signed(self._library.SQLFetch(statement))) != _NO_DATA:
                _check(self._library, code, _STATEMENT, statement)
                found.append({name: self._text(statement, place) for place, name in places.items()})
            return found

    def _text(self, statement: ctypes.c_void_p, place: int) -> str | None:
        buffer = ctypes.create_string_buffer(2 * _MOST_CHARACTERS)
        length = ctypes.c_ssize_t()
        code = self._library.SQLGetData(
            statement,
            ctypes.c_ushort(place),
            ctypes.c_short(_TEXT_AS_UTF16),
            buffer,
            ctypes.c_ssize_t(len(buffer)),
            ctypes.byref(length),
        )
        _check(self._library, code, _STATEMENT, statement)
        if length.value == _NULL:
            return None
        # Only comments are longer; those are cut.
        written = min(length.value, len(buffer) - 2) if length.value >= 0 else len(buffer) - 2
        return buffer.raw[:written].decode("utf-16-le", errors="replace")


@contextmanager
def odbc_catalogue(connection: str, seconds: int) -> Generator[OdbcCatalogue, None, None]:
    """Connects, and disconnects at the end of the context.

    Args:
        connection: ODBC connection string.
        seconds: How long logging in may take, where the driver heeds it.

    Raises:
        OdbcError: there is no unixODBC, or the driver refuses.
    """
    library = _library()
    with _handle(library, _ENVIRONMENT, None) as environment:
        version = ctypes.c_void_p(_VERSION_3)
        set_up = library.SQLSetEnvAttr(environment, _ODBC_VERSION, version, 0)
        _check(library, set_up, _ENVIRONMENT, environment)
        with _handle(library, _CONNECTION, environment) as handle:
            # Not every driver heeds it, and none has to.
            library.SQLSetConnectAttrW(handle, _LOGIN_TIMEOUT, ctypes.c_void_p(seconds), 0)
            never_ask = ctypes.c_ushort(0)
            text, ends = _utf16(connection), ctypes.c_short(_ENDS_WITH_ZERO)
            opened = library.SQLDriverConnectW(
                handle, None, text, ends, None, ctypes.c_short(0), None, never_ask
            )
            _check(library, opened, _CONNECTION, handle)
            try:
                yield OdbcCatalogue(library, handle)
            finally:
                library.SQLDisconnect(handle)


def _library() -> ctypes.CDLL:
    name = "odbc32" if sys.platform == "win32" else ctypes.util.find_library("odbc")
    try:
        return ctypes.CDLL(name or "libodbc.so.2")
    except OSError as error:
        raise OdbcError(f"can't open lib of the ODBC driver manager ({error})") from error


@contextmanager
def _handle(
    library: ctypes.CDLL, kind: int, of: ctypes.c_void_p | None
) -> Generator[ctypes.c_void_p, None, None]:
    handle = ctypes.c_void_p()
    code = library.SQLAllocHandle(ctypes.c_short(kind), of, ctypes.byref(handle))
    if _signed(code) not in (_SUCCESS, _SUCCESS_WITH_INFO):
        raise OdbcError("the ODBC driver manager gave no handle")
    try:
        yield handle
    finally:
        library.SQLFreeHandle(ctypes.c_short(kind), handle)


def _check(library: ctypes.CDLL, code: int, kind: int, handle: ctypes.c_void_p) -> None:
    if _signed(code) in (_SUCCESS, _SUCCESS_WITH_INFO):
        return
    state = ctypes.create_string_buffer(12)
    text = ctypes.create_string_buffer(2 * _MOST_CHARACTERS)
    length = ctypes.c_short()
    library.SQLGetDiagRecW(
        ctypes.c_short(kind),
        handle,
        ctypes.c_short(1),
        state,
        None,
        text,
        ctypes.c_short(_MOST_CHARACTERS),
        ctypes.byref(length),
    )
    said = text.raw[: 2 * max(0, length.value)].decode("utf-16-le", errors="replace")
    known = state.raw[:10].decode("utf-16-le", errors="replace").rstrip("\0")
    raise OdbcError(f"{known} {said or f'error {_signed(code)}'}".strip(), known)


def _utf16(text: str) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(text.encode("utf-16-le") + b"\0\0")


def _signed(code: int) -> int:
    """What SQLRETURN, of sixteen bits, says."""
    return ctypes.c_short(code).value
