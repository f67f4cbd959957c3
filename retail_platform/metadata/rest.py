"""How a table is asked of a REST API: the ``rest:`` block of a row whose connection is ``rest``.

Only the declaration and its validity live here. Asking belongs to ``extract.rest``; which members
become columns is said by the row's ``columns``, by path.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from retail_platform.metadata.values import Frozen, Zone

NAMED_FORMATS = ("iso", "epoch_seconds", "epoch_milliseconds")


def _path(text: str) -> str:
    if not text or "" in text.split("."):
        raise ValueError(f"{text!r} is no path of members such as meta.next_cursor")
    return text


def _moment_format(text: str) -> str:
    if text in NAMED_FORMATS:
        return text
    try:
        told = datetime(2026, 11, 23, 10, 45, tzinfo=UTC).strftime(text)
        read = datetime.strptime(told, text).replace(tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"{text!r} is no strftime pattern: {error}") from error
    if (read.year, read.month, read.day) != (2026, 11, 23):
        raise ValueError(
            f"{text!r} tells no day; such are {', '.join(NAMED_FORMATS)}, %Y-%m-%d, "
            "%Y-%m-%dT%H:%M:%S"
        )
    return text


MemberPath = Annotated[str, AfterValidator(_path)]
"""Names of members from the outside in, with points between them."""
MomentFormat = Annotated[str, AfterValidator(_moment_format)]


class _Pages(Frozen):
    """What all kinds of paging have in common.

    Attributes:
        size: Parameter that says how many records a page has; None: the API fixes it.
        rows: How many are asked for.
        total: Member of the answer with the number of records in all pages. A read that finds
            another number is not kept: records moved between the pages while they were read.
    """

    size: str | None = None
    rows: int = Field(default=100, ge=1)
    total: MemberPath | None = None


class NumberedPages(_Pages):
    """Pages by number, until one is empty or the total is reached.

    Attributes:
        parameter: Parameter with the number.
        first: Number of the first page.
    """

    by: Literal["number"]
    parameter: str = "page"
    first: int = 1


class CursorPages(_Pages):
    """Each answer names the cursor of the next page.

    Attributes:
        parameter: Parameter with the cursor.
        cursor: Member of the answer with the next cursor; empty at the end.
        more: Member that is false at the end, for APIs that name a cursor there too.
    """

    by: Literal["cursor"]
    parameter: str = "cursor"
    cursor: MemberPath
    more: MemberPath | None = None


class LinkedPages(_Pages):
    """Each answer names the URL of the next page.

    Attributes:
        url: Member of the answer with the URL; None: the Link header (RFC 8288) has it.
    """

    by: Literal["link"]
    url: MemberPath | None = None


Paging = Annotated[NumberedPages | CursorPages | LinkedPages, Field(discriminator="by")]


class Since(Frozen):
    """How a window of changes is asked for.

    The API may deliver more than the window, for instance whole days: what lies outside is left
    out. It must not deliver less.

    Attributes:
        member: Member of a record with the moment of its last change, ISO 8601.
        parameter: Parameter with the start of the window; None: the API gives the whole list.
        until: Parameter with the end of the window; None: the API has none.
        format: ``iso``, ``epoch_seconds``, ``epoch_milliseconds`` or a ``strftime`` pattern.
        timezone: IANA zone of the parameters, where the format names none.
    """

    member: MemberPath
    parameter: str | None = None
    until: str | None = None
    format: MomentFormat = "iso"
    timezone: Zone = "UTC"

    @model_validator(mode="after")
    def _until_goes_with_since(self) -> "Since":
        if self.until is not None and self.parameter is None:
            raise ValueError("until goes with parameter, the start of the window")
        return self


class Endpoint(Frozen):
    """One list of an API.

    Attributes:
        path: Below the connection's URL.
        records: Member of the answer with the list of records; ``data`` also where the answer is
            the list itself.
        parameters: Sent with each request.
        paging: How its pages follow each other; None: one answer has all records.
        since: How a window is asked for; incremental loads need it.
    """

    path: str
    records: MemberPath = "data"
    parameters: dict[str, str] = Field(default_factory=dict)
    paging: Paging | None = None
    since: Since | None = None
