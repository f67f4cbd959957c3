"""Spark SQL expressions that read a received value as a contract's type.

Each expression is NULL where the value cannot be read, so that the caller can tell "missing" from
"unreadable". Nothing here knows tables or DataFrames.
"""

import hashlib

import pyarrow as pa

from retail_platform.metadata.file_formats import PLAIN_NUMBERS, NumberStyle

HMAC_BLOCK = 64
WHOLE = r"^[+-]?[0-9]+(\\.0+)?$"
NUMBER = r"^[+-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)$"
SCIENTIFIC = r"^[+-]?[0-9]+(\\.[0-9]*)?[eE][+-]?[0-9]+$"
MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)?)?$"
MOMENT_WITH_ZONE = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})$"
)
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T].*)?$"


def text_of(column: str, *, trim: bool, null_tokens: tuple[str, ...]) -> str:
    """The text of a string column, with its NULL tokens (compared without case) as NULL."""
    text = f"trim({column})" if trim else column
    if not null_tokens:
        return text
    tokens = ", ".join(sql_text(token.lower()) for token in null_tokens)
    return f"case when lower({text}) in ({tokens}) then null else {text} end"


def read_as(
    column: str,
    received: pa.DataType,
    physical: str,
    zone: str,
    numbers: NumberStyle = PLAIN_NUMBERS,
) -> str:
    """An expression of type ``physical`` that reads ``column``.

    Args:
        column: SQL expression of the received value.
        received: Its Arrow type.
        physical: Type of the contract.
        zone: IANA zone of naive timestamps.
        numbers: How numbers in texts are written.
    """
    if pa.types.is_string(received) or pa.types.is_large_string(received):
        if physical in ("int", "bigint", "double") or physical.startswith("decimal"):
            column = plain_number(column, numbers)
        return _from_text(column, physical, zone)
    if pa.types.is_timestamp(received) and received.tz is None and physical == "timestamp":
        return f"to_utc_timestamp(cast({column} as timestamp), '{zone}')"
    if pa.types.is_floating(received) and physical in ("int", "bigint"):
        # A fraction is not a whole number: 17850.0 is one, 1.5 is not.
        return f"case when {column} = floor({column}) then try_cast({column} as {physical}) end"
    return f"try_cast({column} as {physical})"


def plain_number(text: str, numbers: NumberStyle) -> str:
    """A number's text with a point before the fraction and no other mark.

    Where marks are declared a text that does not keep to them is NULL, never guessed at: ``1.5`` is
    no number where the comma is the decimal mark.
    """
    if numbers == PLAIN_NUMBERS:
        return text
    grouped = f"[0-9]{{1,3}}([{numbers.thousands}][0-9]{{3}})+|" if numbers.thousands else ""
    whole, mark = f"({grouped}[0-9]+)", f"[{numbers.decimal}]"
    written = f"^[+-]?({whole}({mark}[0-9]*)?|{mark}[0-9]+)([eE][+-]?[0-9]+)?$"
    marks = sql_text(f"{numbers.decimal}{numbers.thousands or ''}")
    return f"case when {text} rlike {sql_text(written)} then translate({text}, {marks}, '.') end"


def _from_text(text: str, physical: str, zone: str) -> str:
    if physical == "string":
        return text
    if physical in ("int", "bigint"):
        whole = f"regexp_replace({text}, '\\\\.0+$', '')"
        return f"case when {text} rlike '{WHOLE}' then try_cast({whole} as {physical}) end"
    if physical.startswith("decimal"):
        return (
            f"case when {text} rlike '{NUMBER}' then try_cast({text} as {physical}) "
            f"when {text} rlike '{SCIENTIFIC}' "
            f"then try_cast(try_cast({text} as double) as {physical}) end"
        )
    if physical == "double":
        return f"case when {text} rlike '{NUMBER}|{SCIENTIFIC}' then try_cast({text} as double) end"
    if physical == "timestamp":
        return (
            f"case when {text} rlike '{MOMENT}' "
            f"then to_utc_timestamp(try_cast({text} as timestamp), '{zone}') "
            f"when {text} rlike '{MOMENT_WITH_ZONE}' then try_cast({text} as timestamp) end"
        )
    if physical == "date":
        return f"case when {text} rlike '{DATE}' then try_cast(substr({text}, 1, 10) as date) end"
    if physical == "boolean":
        return (
            f"case when lower({text}) in ('true', 't', 'yes', 'y', '1') then true "
            f"when lower({text}) in ('false', 'f', 'no', 'n', '0') then false end"
        )
    raise ValueError(f"no reading of text as {physical}")


def masked(column: str, key: str) -> str:
    """HMAC-SHA-256 (RFC 2104) of a text column as 64 hexadecimal digits; NULL stays NULL.

    Engines have no HMAC function, so it is composed of SHA-256 over the padded key: equal inputs
    give equal masks in every table and on every engine, and nobody without the key can guess them.
    """
    secret = key.encode()
    if len(secret) > HMAC_BLOCK:
        secret = hashlib.sha256(secret).digest()
    padded = secret.ljust(HMAC_BLOCK, b"\0")
    inner = bytes(byte ^ 0x36 for byte in padded).hex()
    outer = bytes(byte ^ 0x5C for byte in padded).hex()
    inside = f"sha2(concat(unhex('{inner}'), cast({column} as binary)), 256)"
    return f"sha2(concat(unhex('{outer}'), unhex({inside})), 256)"


def sql_text(text: str) -> str:
    """A Spark SQL string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
