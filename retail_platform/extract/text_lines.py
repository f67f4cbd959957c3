"""The lines of a text file: bytes to text, line by line, with what is wrong with each.

Belongs here: encodings, byte order marks, wrongly decoded text. Not here: what a record is.
"""

import codecs
import io
import re
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from retail_platform.metadata.file_formats import LineFormat

LONGEST_LINE = 16 * 1024 * 1024
"""A longer line is cut: no file may ask for more memory than this at once."""

_BOM = "\ufeff"
_WIDE = re.compile(r"utf[-_](16|32)")
_ESCAPED = re.compile("[\udc00-\udcff]")
_NOT_ASCII = re.compile("[^\x00-\x7f]{2,}")
_KEPT_BYTES = "retail_platform_kept_bytes"


class Line(NamedTuple):
    """One physical line.

    Attributes:
        text: Its text, line end included.
        fault: What is wrong with its characters; None when nothing is.
    """

    text: str
    fault: str | None


class Lines:
    """The lines of a file, which can be given back after a record has swallowed them."""

    def __init__(self, file: BinaryIO, form: LineFormat) -> None:
        """Read an opened file as the format says."""
        self._form = form
        self._waiting: deque[Line] = deque()
        self._unread = _wide(file, form) if _WIDE.match(form.encoding) else _narrow(file, form)
        self.taken: list[Line] = []
        self.line = 1
        """Number of the present record's first line, from 1."""

    def more(self) -> bool:
        """Begin a record; False at the end of the file."""
        self.line += len(self.taken)
        self.taken = []
        if not self._waiting:
            self._waiting.extend(self._next())
        return bool(self._waiting)

    def peek(self) -> Line:
        """The line with which the record begins; only after `more` was True."""
        return self._waiting[0]

    def give_back_all_but_first(self) -> bool:
        """Return the record's later lines, if it has any."""
        self._waiting.extendleft(reversed(self.taken[1:]))
        several = len(self.taken) > 1
        del self.taken[1:]
        return several

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self._waiting:
            self._waiting.extend(self._next())
        if not self._waiting:
            raise StopIteration
        self.taken.append(self._waiting.popleft())
        return self.taken[-1].text

    def _next(self) -> list[Line]:
        line = next(self._unread, None)
        if line is None:
            return []
        if line.fault is None and self._form.mojibake == "quarantine":
            line = Line(line.text, _mojibake(line.text))
        return [line]


def _narrow(file: BinaryIO, form: LineFormat) -> Iterator[Line]:
    first = True
    while content := file.readline(LONGEST_LINE):
        if first:
            content = content.removeprefix(codecs.BOM_UTF8)
            first = False
            if not content:
                continue
        yield _decoded(content, form)


def _decoded(content: bytes, form: LineFormat) -> Line:
    for encoding in (form.encoding, form.fallback_encoding):
        if encoding is not None:
            try:
                return Line(content.decode(encoding), None)
            except UnicodeDecodeError:
                continue
    text = content.decode(form.encoding, errors="backslashreplace")
    return Line(text, "bytes that are text in no declared encoding")


def _wide(file: BinaryIO, form: LineFormat) -> Iterator[Line]:
    """Lines of an encoding whose line break is more than one byte."""
    codecs.register_error(_KEPT_BYTES, _keep_bytes)
    text = io.TextIOWrapper(file, form.encoding, errors=_KEPT_BYTES, newline="\n")
    first = True
    while content := text.readline(LONGEST_LINE):
        if first:
            content = content.removeprefix(_BOM)
            first = False
        shown = _ESCAPED.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", content)
        if shown:
            fault = None if shown == content else "bytes that are text in no declared encoding"
            yield Line(shown, fault)
    text.detach()


def _keep_bytes(error: UnicodeError) -> tuple[str, int]:
    """Lone surrogates, which no valid text has, in the place of bytes that are no text."""
    assert isinstance(error, UnicodeDecodeError)
    wrong = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + byte) for byte in wrong), error.end


def _mojibake(text: str) -> str | None:
    """What is wrong with a text that was once decoded wrongly, or lost characters."""
    if text.isascii():
        return None
    if "\ufffd" in text:
        return "characters were lost before delivery (U+FFFD)"
    for found in _NOT_ASCII.findall(text):
        for wrong in ("cp1252", "latin-1"):
            try:
                meant = found.encode(wrong).decode("utf-8")
            except UnicodeError:
                continue
            return f"text decoded wrongly before delivery: {found!r}, which means {meant!r}"
    return None
