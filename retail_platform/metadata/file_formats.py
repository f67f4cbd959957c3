"""How the files of a table are written: the ``files:`` block of a row with ``load: files``.

Only the declaration and its validity live here. Reading belongs to ``extract``; what a number with
a decimal comma means is applied on the way to Silver, Bronze keeps the text as it came.
"""

import codecs
import re
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

RESERVED_COLUMNS = frozenset(
    {"_file", "_line", "_parse_error", "_raw", "_hour", "_extracted_at", "_row_hash"}
)
"""Column names that the platform gives itself: no file may have them."""


def _encoding(text: str) -> str:
    try:
        return codecs.lookup(text).name
    except LookupError as error:
        raise ValueError(f"{text!r} is no encoding; such are utf-8, cp1252, utf-16") from error


def _pattern(text: str) -> str:
    try:
        compiled = re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error
    if compiled.groups and "count" not in compiled.groupindex:
        raise ValueError(f"{text!r} has groups, none named count: write (?P<count>[0-9]+)")
    return text


def _character(text: str) -> str:
    if len(text) != 1 or text in "\r\n":
        raise ValueError(f"{text!r} is not one character")
    return text


Encoding = Annotated[str, AfterValidator(_encoding)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Character = Annotated[str, AfterValidator(_character)]
ThousandsMark = Literal[".", ",", "'", "_", " ", "\u00a0", "\u202f"]
Extension = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+(\.[A-Za-z0-9]+)*$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NumberStyle(_Frozen):
    """How numbers are written.

    Attributes:
        decimal: Character before the fraction.
        thousands: Character between groups of three digits; None where there is none.
    """

    decimal: Literal[".", ","] = "."
    thousands: ThousandsMark | None = None


PLAIN_NUMBERS = NumberStyle()


class Trailer(_Frozen):
    """The last line of a file, by which a whole file is told from one that breaks off.

    Attributes:
        pattern: Regular expression of the whole line; its group ``count``, where it has one, is the
            number of records, the header line not counted.
    """

    pattern: Pattern


class LineFormat(_Frozen):
    """What every format of lines has in common.

    Attributes:
        encoding: Encoding of the text; a byte order mark is understood.
        fallback_encoding: Encoding of lines that are not in `encoding`; None: such a line is bad.
        mojibake: Whether a line whose text was once decoded wrongly (``CafÃ©``) is bad.
        skip: Lines at the head that are no records.
        comment: A line that begins with this text is no record.
        trailer: The last line; a file without it is incomplete.
        final_newline: Whether a last line without line break is incomplete.
        incomplete: What an incomplete file means: ``quarantine`` refuses the record where the file
            ends and lets the others go on, ``hold`` holds the hour in Silver until the sender has
            delivered the file again.
    """

    encoding: Encoding = "utf-8"
    fallback_encoding: Encoding | None = None
    mojibake: Literal["quarantine", "keep"] = "quarantine"
    skip: int = Field(default=0, ge=0)
    comment: str | None = Field(default=None, min_length=1)
    trailer: Trailer | None = None
    final_newline: bool = False
    incomplete: Literal["quarantine", "hold"] = "quarantine"

    @property
    def declares_end(self) -> bool:
        """Whether a file that breaks off can be told."""
        return self.trailer is not None or self.final_newline

    @model_validator(mode="after")
    def _end_can_be_told(self) -> "LineFormat":
        if self.incomplete == "hold" and not self.declares_end:
            raise ValueError("incomplete: hold needs trailer or final_newline to tell the end by")
        return self


class DelimitedFormat(LineFormat):
    """Fields between delimiters: ``csv``, whose delimiter is a comma, or ``delimited``.

    Attributes:
        delimiter: Between fields.
        quote: Around fields that hold delimiters or line breaks; doubled it means itself. None:
            no field is quoted.
        escape: Before a character that means itself; None: there is none.
        header: Whether the first line names the columns.
        names: Column names of files without header, in order.
        decimal: Character before a number's fraction.
        thousands: Character between groups of three digits.
        extension: Ending of the file names.
    """

    format: Literal["csv", "delimited"]
    delimiter: Character = ","
    quote: Character | None = '"'
    escape: Character | None = None
    header: bool = True
    names: tuple[str, ...] = ()
    decimal: Literal[".", ","] = "."
    thousands: ThousandsMark | None = None
    extension: Extension = "csv"

    @model_validator(mode="before")
    @classmethod
    def _delimited_is_text(cls, values: object) -> object:
        if isinstance(values, dict) and values.get("format") == "delimited":
            if "delimiter" not in values:
                raise ValueError("format: delimited needs delimiter")
            return {"extension": "txt", **values}
        return values

    @model_validator(mode="after")
    def _is_one_grammar(self) -> "DelimitedFormat":
        marks = [mark for mark in (self.delimiter, self.quote, self.escape) if mark]
        if len(set(marks)) < len(marks):
            raise ValueError("delimiter, quote and escape must be different characters")
        if self.header == bool(self.names):
            raise ValueError("names goes with header: false, and only there")
        _refuse_twins(self.names)
        _refuse_one_mark_twice(self.numbers)
        return self

    @property
    def numbers(self) -> NumberStyle:
        """How numbers are written."""
        return NumberStyle(decimal=self.decimal, thousands=self.thousands)


class FixedField(_Frozen):
    """A column of a fixed-width file.

    Attributes:
        name: Column name.
        start: Position of its first character, from 1.
        width: Number of characters.
    """

    name: str
    start: int = Field(ge=1)
    width: int = Field(ge=1)

    @property
    def end(self) -> int:
        """Position of its last character, from 1."""
        return self.start + self.width - 1


class FixedWidthFormat(LineFormat):
    """Fields at fixed positions of a line, counted in characters; there is no header.

    Attributes:
        fields: The columns; positions between them are ignored.
        short_lines: ``refuse`` calls a line that ends before its last field bad, ``pad`` reads the
            missing characters as blanks.
        decimal: Character before a number's fraction.
        thousands: Character between groups of three digits.
        extension: Ending of the file names.
    """

    format: Literal["fixed_width"]
    fields: tuple[FixedField, ...] = Field(min_length=1)
    short_lines: Literal["refuse", "pad"] = "refuse"
    decimal: Literal[".", ","] = "."
    thousands: ThousandsMark | None = None
    extension: Extension = "txt"

    @model_validator(mode="after")
    def _fields_lie_apart(self) -> "FixedWidthFormat":
        _refuse_twins(tuple(field.name for field in self.fields))
        _refuse_one_mark_twice(self.numbers)
        ordered = sorted(self.fields, key=lambda field: field.start)
        for left, right in pairwise(ordered):
            if right.start <= left.end:
                raise ValueError(
                    f"field {right.name} begins at {right.start}, inside of {left.name}, which "
                    f"ends at {left.end}"
                )
        return self

    @property
    def numbers(self) -> NumberStyle:
        """How numbers are written."""
        return NumberStyle(decimal=self.decimal, thousands=self.thousands)


class JsonLinesFormat(LineFormat):
    """One JSON object a line; its members are the columns.

    Attributes:
        nested: Whether columns are paths of members (``author.id``) and lists may be tables of
            their own; members that no column takes are then kept in ``_extra``, as JSON.
        extension: Ending of the file names.
    """

    format: Literal["jsonl"]
    nested: bool = False
    extension: Extension = "jsonl"

    @property
    def numbers(self) -> NumberStyle:
        """How numbers are written: as JSON has them."""
        return PLAIN_NUMBERS


class ParquetFormat(_Frozen):
    """Apache Parquet: typed columns, found by name.

    Attributes:
        extension: Ending of the file names.
    """

    format: Literal["parquet"]
    extension: Extension = "parquet"

    @property
    def numbers(self) -> NumberStyle:
        """How numbers in text columns are written."""
        return PLAIN_NUMBERS

    @property
    def incomplete(self) -> Literal["quarantine"]:
        """A Parquet file that breaks off cannot be opened: it is one refused record."""
        return "quarantine"


FileFormat = Annotated[
    DelimitedFormat | FixedWidthFormat | ParquetFormat | JsonLinesFormat,
    Field(discriminator="format"),
]


def _refuse_twins(names: tuple[str, ...]) -> None:
    lowered = [name.lower() for name in names]
    twins = sorted({name for name in names if lowered.count(name.lower()) > 1})
    reserved = [name for name in names if name in RESERVED_COLUMNS or not name.strip()]
    if twins or reserved:
        raise ValueError(f"column names twice, empty, or the platform's own: {[*twins, *reserved]}")


def _refuse_one_mark_twice(numbers: NumberStyle) -> None:
    if numbers.decimal == numbers.thousands:
        raise ValueError(f"decimal and thousands are both {numbers.decimal!r}")


CSV = DelimitedFormat(format="csv")
"""How files are written where nothing is declared."""
