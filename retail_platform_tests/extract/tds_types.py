"""SQL Server's column types as TDS 7.4 writes them (MS-TDS 2.2.5.4, 2.2.5.5).

Each encoder takes the canonical text of a value (see `tds_server`), so that no Python type rounds
what a test has written down: ``datetime2(7)`` and ``datetimeoffset(7)`` keep their 100 ns and their
offset, decimals and money every digit.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from pysqlbridge.tds.result import DEFAULT_COLLATION, PLP_NULL, ColumnType, as_utf16

_DAY_ONE, _DAY_1900 = date(1, 1, 1), date(1900, 1, 1)
_MOMENT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)?[ T]?(?:(?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)(?:\.(?P<f>\d+))?)?"
    r"(?: ?(?P<sign>[+-])(?P<oh>\d\d):(?P<om>\d\d))?"
)


@dataclass(frozen=True)
class Wire(ColumnType):
    """A type: how it declares itself, and how it writes a value that is not NULL."""

    declaration: bytes
    write: Callable[[str], bytes]
    null: bytes = b"\x00"

    def type_info(self) -> bytes:
        """The column's TYPE_INFO."""
        return self.declaration

    def encode(self, value: object) -> bytes:
        """A value of a row."""
        return self.null if value is None else self.write(str(value))


def wire_type(declared: str) -> Wire:
    """The type of a declaration such as ``decimal(19,4)``, in lower case."""
    name, sizes = split_type(declared)
    fixed = {
        "bit": Wire(b"\x68\x01", lambda t: b"\x01" + bytes([t in ("1", "true", "True")])),
        "tinyint": _integer(1),
        "smallint": _integer(2),
        "int": _integer(4),
        "bigint": _integer(8),
        "real": Wire(b"\x6d\x04", lambda t: b"\x04" + struct.pack("<f", float(t))),
        "float": Wire(b"\x6d\x08", lambda t: b"\x08" + struct.pack("<d", float(t))),
        "money": Wire(b"\x6e\x08", _money),
        "smallmoney": Wire(b"\x6e\x04", lambda t: b"\x04" + struct.pack("<i", _scaled(t, 4))),
        "date": Wire(b"\x28", lambda t: b"\x03" + _days(t)),
        "datetime": Wire(b"\x6f\x08", _datetime),
        "smalldatetime": Wire(b"\x6f\x04", _smalldatetime),
        "uniqueidentifier": Wire(b"\x24\x10", lambda t: b"\x10" + UUID(t).bytes_le),
        "timestamp": _binary(0xAD, 8),
        "rowversion": _binary(0xAD, 8),
        "image": _long(b"\xa5\xff\xff", bytes.fromhex),
        "xml": _long(b"\xf1\x00", as_utf16),
        "ntext": _long(b"\xe7\xff\xff" + DEFAULT_COLLATION, as_utf16),
        "text": _long(b"\xa7\xff\xff" + DEFAULT_COLLATION, lambda t: t.encode("cp1252")),
    }
    if name in fixed:
        return fixed[name]
    size = sizes[0] if sizes else None
    if name in ("decimal", "numeric"):
        precision, scale = (*sizes, 18, 0)[:2] if len(sizes) != 1 else (sizes[0], 0)
        return _decimal(precision, scale)
    if name in ("time", "datetime2", "datetimeoffset"):
        return _scaled_time(name, 7 if size is None else size)
    if name in ("nvarchar", "nchar"):
        collation = DEFAULT_COLLATION
        if size == -1:
            return _long(b"\xe7\xff\xff" + collation, as_utf16)
        head = b"\xe7" + struct.pack("<H", 2 * (size or 30)) + collation
        return Wire(head, lambda t: _sized(as_utf16(t)), b"\xff\xff")
    if name in ("varchar", "char"):
        if size == -1:
            return _long(b"\xa7\xff\xff" + DEFAULT_COLLATION, lambda t: t.encode("cp1252"))
        head = b"\xa7" + struct.pack("<H", size or 30) + DEFAULT_COLLATION
        return Wire(head, lambda t: _sized(t.encode("cp1252")), b"\xff\xff")
    if name in ("varbinary", "binary"):
        return (
            _long(b"\xa5\xff\xff", bytes.fromhex)
            if size == -1
            else _binary(0xA5 if name == "varbinary" else 0xAD, size or 30)
        )
    raise ValueError(f"no wire type for {declared!r}")


def split_type(declared: str) -> tuple[str, list[int]]:
    """Name and sizes of a declaration; ``max`` is -1."""
    name, _, inside = declared.lower().rstrip(")").partition("(")
    return name.strip(), [
        -1 if part.strip() == "max" else int(part) for part in inside.split(",") if part
    ]


def _integer(width: int) -> Wire:
    signed = width > 1
    return Wire(
        bytes([0x26, width]),
        lambda t: bytes([width]) + int(t).to_bytes(width, "little", signed=signed),
    )


def _decimal(precision: int, scale: int) -> Wire:
    size = next(s for p, s in ((9, 5), (19, 9), (28, 13), (38, 17)) if precision <= p)

    def write(text: str) -> bytes:
        number = _scaled(text, scale)
        return bytes([size, number >= 0]) + abs(number).to_bytes(size - 1, "little")

    return Wire(bytes([0x6A, size, precision, scale]), write)


def _scaled(text: str, scale: int) -> int:
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    number = int("".join(map(str, digits))) * 10 ** (scale + exponent)
    return -int(number) if sign else int(number)


def _money(text: str) -> bytes:
    number = _scaled(text, 4)
    return b"\x08" + struct.pack("<iI", number >> 32, number & 0xFFFFFFFF)


def _days(text: str) -> bytes:
    return (date.fromisoformat(text[:10]) - _DAY_ONE).days.to_bytes(3, "little")


def _ticks(text: str) -> int:
    """100 ns since midnight."""
    found = _MOMENT.fullmatch(text)
    assert found, text
    seconds = (int(found["h"] or 0) * 60 + int(found["m"] or 0)) * 60 + int(found["s"] or 0)
    return seconds * 10**7 + int((found["f"] or "0").ljust(7, "0")[:7])


def _datetime(text: str) -> bytes:
    days = (date.fromisoformat(text[:10]) - _DAY_1900).days
    return b"\x08" + struct.pack("<iI", days, round(_ticks(text) * 300 / 10**7))


def _smalldatetime(text: str) -> bytes:
    days = (date.fromisoformat(text[:10]) - _DAY_1900).days
    return b"\x04" + struct.pack("<HH", days, _ticks(text) // (60 * 10**7))


def _scaled_time(name: str, scale: int) -> Wire:
    width = 3 if scale < 3 else 4 if scale < 5 else 5
    code = {"time": 0x29, "datetime2": 0x2A, "datetimeoffset": 0x2B}[name]

    def write(text: str) -> bytes:
        found = _MOMENT.fullmatch(text)
        assert found, text
        ticks, day = _ticks(text), date.fromisoformat(found["day"] or "0001-01-01")
        tail = b""
        if name == "datetimeoffset":
            offset = int(found["oh"]) * 60 + int(found["om"])
            offset = -offset if found["sign"] == "-" else offset
            moment = (day - _DAY_ONE).days * 1440 * 600_000_000 + ticks - offset * 600_000_000
            days, ticks = divmod(moment, 1440 * 600_000_000)
            tail = days.to_bytes(3, "little") + struct.pack("<h", offset)
        elif name == "datetime2":
            tail = (day - _DAY_ONE).days.to_bytes(3, "little")
        value = (ticks // 10 ** (7 - scale)).to_bytes(width, "little") + tail
        return bytes([len(value)]) + value

    return Wire(bytes([code, scale]), write)


def _binary(code: int, size: int) -> Wire:
    head = bytes([code]) + struct.pack("<H", size)
    return Wire(head, lambda t: _sized(bytes.fromhex(t)), b"\xff\xff")


def _sized(value: bytes) -> bytes:
    return struct.pack("<H", len(value)) + value


def _long(head: bytes, raw: Callable[[str], bytes]) -> Wire:
    """A ``max`` type, whose values come in chunks."""

    def write(text: str) -> bytes:
        value = raw(text)
        chunks = struct.pack("<I", len(value)) + value if value else b""
        return struct.pack("<Q", len(value)) + chunks + struct.pack("<I", 0)

    return Wire(head, write, PLP_NULL)
