"""How the files of a table are delivered: when they are whole, and whether they are packed.

How they are written inside is in ``file_formats``; looking at them belongs to ``extract``.
"""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from retail_platform.metadata.values import Duration, Frozen

_SIZE = re.compile(r"(\d+)([kmg])")
_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}


def _size(value: object) -> object:
    if isinstance(value, int):
        return value
    match = _SIZE.fullmatch(str(value))
    if not match:
        raise ValueError(f"{value!r} is not a size such as 500k, 20m or 2g")
    return int(match[1]) * _UNITS[match[2]]


Size = Annotated[int, BeforeValidator(_size), Field(ge=1)]
"""Bytes; ``20m`` in a file."""


class Completeness(Frozen):
    """How a whole delivery is told from one under way; ``marker`` and ``stable`` are short forms.

    Attributes:
        by: ``marker``: an empty file, named as the hour with the ending ``.done``, says that all
            files of the hour are whole. ``stable``: a file is whole when two looks at least
            `unchanged` apart find it alike.
        unchanged: How long a file must have stayed as it is.
        empty_after: How long after its end an hour without any file counts as an hour without
            trade, where no marker says so.
    """

    by: Literal["marker", "stable"] = "marker"
    unchanged: Duration = timedelta(minutes=2)
    empty_after: Duration = timedelta(hours=1)

    @model_validator(mode="after")
    def _times_go_with_stable(self) -> "Completeness":
        if self.by == "marker" and self.model_fields_set & {"unchanged", "empty_after"}:
            raise ValueError("unchanged and empty_after go with by: stable; a marker says it all")
        return self


def completeness_from(value: object) -> object:
    """The long form of ``complete: stable``."""
    return {"by": value} if isinstance(value, str) else value


class Archive(Frozen):
    """How files are packed; ``gzip`` and ``zip`` alone are short forms.

    Attributes:
        kind: ``gzip`` packs one file, ``zip`` any number of members.
        members: Members of a ZIP archive that are read, as a pattern of their names without
            folders; None: those with the ending of the table's format. Others are left alone.
        max_size: Bytes that one archive may unpack to; a larger one is refused.
    """

    kind: Literal["gzip", "zip"]
    members: str | None = Field(default=None, min_length=1)
    max_size: Size = 2**30

    @model_validator(mode="after")
    def _members_go_with_zip(self) -> "Archive":
        if self.kind == "gzip" and self.members is not None:
            raise ValueError("members goes with kind: zip; a gzip file has no names inside")
        return self

    def ending(self, extension: str) -> str:
        """Ending of the archives' names, for a format whose files end with ``extension``."""
        return f".{extension}.gz" if self.kind == "gzip" else ".zip"


def archive_from(value: object) -> object:
    """The long form of ``archive: zip``."""
    return {"kind": value} if isinstance(value, str) else value
