"""Archives: gzip and ZIP files unpacked to a folder, member by member, within a declared size.

Belongs here: what is inside and what is wrong with it. An archive is unpacked whole before any of
its rows is read, so that one that breaks off is known before anything is committed. Names inside an
archive never become paths on this machine.
"""

import fnmatch
import gzip
import hashlib
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from retail_platform.extract.file_store import CHUNK_BYTES
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.file_delivery import Archive

_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGIC = b"PK"
_ENCRYPTED = 0x1
_APPLE = "__MACOSX/"


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class Member:
    """An unpacked file.

    Attributes:
        name: Its name inside the archive; None of the only file of a gzip archive.
        sha256: Hash of its content, hexadecimal.
        bytes: Its size.
        local: Where it was unpacked to.
    """

    name: str | None
    sha256: str
    bytes: int
    local: Path


def unpack(
    packed: Path, archive: Archive, folder: Path, *, pattern: str, place: str
) -> list[Member]:
    """Unpacks an archive.

    Args:
        packed: The archive.
        archive: How it is packed, and what it may unpack to.
        folder: An existing folder; the members get names of their own there.
        pattern: Members that are read, where the archive's declaration names none.
        place: Table and file, for messages.

    Returns:
        Its members in the order of their names.

    Raises:
        PermanentFailure: it is damaged, encrypted, larger than declared, has a name twice, or no
            member to read.
        TransientFailure: it breaks off, as one does that is still being written.
    """
    unpacking = _Unpacking(folder, archive.max_size, place)
    try:
        if archive.kind == "gzip":
            return [unpacking.gzip(packed)]
        return unpacking.zip(packed, archive.members or pattern)
    except EOFError as error:
        raise _half_written(place) from error
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise PermanentFailure(
            f"{place}: the archive is damaged ({error}); have the sender deliver it again under "
            "the same name"
        ) from error
    except NotImplementedError as error:
        raise PermanentFailure(
            f"{place}: the archive is packed in a way that cannot be read ({error}); have the "
            "sender pack it with deflate"
        ) from error


class _Unpacking:
    """One archive on its way; the sizes of its members add up."""

    def __init__(self, folder: Path, most: int, place: str) -> None:
        self.folder = folder
        self.most = most
        self.place = place
        self.unpacked = 0
        self.members = 0

    def gzip(self, packed: Path) -> Member:
        with packed.open("rb") as file:
            magic = file.read(len(_GZIP_MAGIC))
        if len(magic) < len(_GZIP_MAGIC):
            raise EOFError
        if magic != _GZIP_MAGIC:
            raise gzip.BadGzipFile("it does not begin as a gzip file")
        with gzip.open(packed) as content:
            return self.copy(content, None)

    def zip(self, packed: Path, pattern: str) -> list[Member]:
        if not zipfile.is_zipfile(packed):
            with packed.open("rb") as file:
                # Its directory is at its end: one that begins well and has none is still written.
                if _ZIP_MAGIC.startswith(file.read(len(_ZIP_MAGIC))):
                    raise EOFError
            raise zipfile.BadZipFile("it does not begin as a ZIP file")
        with zipfile.ZipFile(packed) as archive:
            wanted = list(_wanted(archive, pattern))
            self.check(archive, wanted, pattern)
            found = []
            for info in sorted(wanted, key=lambda info: info.filename):
                with archive.open(info) as content:
                    found.append(self.copy(content, info.filename))
            return found

    def check(self, archive: zipfile.ZipFile, wanted: list[zipfile.ZipInfo], pattern: str) -> None:
        names = [info.filename for info in wanted]
        if not names:
            there = ", ".join(archive.namelist()[:10]) or "none"
            raise PermanentFailure(
                f"{self.place}: no member {pattern}; its members: {there}; have the sender deliver "
                "it again, or name the members in the row, archive: {kind: zip, members: ...}"
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PermanentFailure(
                f"{self.place}: members {', '.join(twice)} are in it twice; have the sender "
                "deliver it with one of each name"
            )
        encrypted = [info.filename for info in wanted if info.flag_bits & _ENCRYPTED]
        if encrypted:
            raise PermanentFailure(
                f"{self.place}: member {encrypted[0]} is encrypted; have the sender deliver it "
                "without a password: the way is encrypted already"
            )
        declared = sum(info.file_size for info in wanted)
        if declared > self.most:
            raise self.too_large()

    def copy(self, content: _Readable, name: str | None) -> Member:
        """Unpacks one member, counting what comes out and not what the archive says of it."""
        self.members += 1
        local = self.folder / f"member_{self.members}"
        digest = hashlib.sha256()
        size = 0
        with local.open("wb") as file:
            while chunk := content.read(CHUNK_BYTES):
                size += len(chunk)
                self.unpacked += len(chunk)
                if self.unpacked > self.most:
                    raise self.too_large()
                digest.update(chunk)
                file.write(chunk)
        return Member(name=name, sha256=digest.hexdigest(), bytes=size, local=local)

    def too_large(self) -> PermanentFailure:
        return PermanentFailure(
            f"{self.place}: the archive unpacks to more than {self.most:,} bytes; if that is "
            "right, raise archive: {max_size: ...} in the table's row; if not, ask the sender what "
            "it is"
        )


def _wanted(archive: zipfile.ZipFile, pattern: str) -> Iterator[zipfile.ZipInfo]:
    for info in archive.infolist():
        name = info.filename.rpartition("/")[2]
        if name and not info.filename.startswith(_APPLE) and fnmatch.fnmatchcase(name, pattern):
            yield info


def _half_written(place: str) -> TransientFailure:
    return TransientFailure(
        f"{place}: the archive breaks off before its end, as a half-written one does; it is tried "
        "again; if it stays so, have the sender deliver it again and say that it is whole only "
        "after its last byte"
    )
