"""The places where files land, behind one small interface: list, look at one, read it as a stream.

Belongs here: the interface and the local folder. Not here: the other places (`sftp_store`,
`adls_store`), and which files belong to an hour (`files`).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

CHUNK_BYTES = 2**20


@dataclass(frozen=True, kw_only=True)
class FoundFile:
    """A file as its place lists it.

    Attributes:
        path: Below the root, with forward slashes.
        bytes: Its size.
        stamp: Changes when the file does; the place's own, such as its time of change.
    """

    path: str
    bytes: int
    stamp: str

    @property
    def name(self) -> str:
        """Its name without folders."""
        return self.path.rpartition("/")[2]


class FileStore(Protocol):
    """One root and the files below it.

    Every method raises `TransientFailure` where the place cannot be reached or breaks off, and
    `PermanentFailure` where it refuses the platform. What concerns one file is an `OSError`.
    """

    @property
    def place(self) -> str:
        """The root as messages name it, without secrets."""
        ...

    def starting_with(self, stem: str) -> list[FoundFile]:
        """Files whose path begins with ``stem``, of its own folder, by path."""
        ...

    def walk(self) -> Iterator[FoundFile]:
        """Every file below the root, in no order."""
        ...

    def stat(self, path: str) -> FoundFile | None:
        """A file; None where there is none."""
        ...

    def chunks(self, path: str) -> Iterator[bytes]:
        """A file's content, piece by piece."""
        ...

    def local(self, path: str) -> Path | None:
        """Where the file lies on this machine; None where it has to be fetched."""
        ...

    def close(self) -> None:
        """Ends the connection, if there is one."""
        ...


class LocalFolder:
    """A folder of this machine or of a mounted share."""

    def __init__(self, root: Path) -> None:
        """Name the folder."""
        self._root = root

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._root)

    def starting_with(self, stem: str) -> list[FoundFile]:
        """Files whose path begins with ``stem``, of its own folder, by path."""
        folder, name = (self._root / stem).parent, stem.rpartition("/")[2]
        if not folder.is_dir():
            return []
        with os.scandir(folder) as entries:
            paths = [
                Path(entry.path)
                for entry in entries
                if entry.name.startswith(name) and entry.is_file()
            ]
        return sorted(map(self._found, paths), key=lambda found: found.path)

    def walk(self) -> Iterator[FoundFile]:
        """Every file below the root, in no order."""
        return (self._found(path) for path in self._root.rglob("*") if path.is_file())

    def stat(self, path: str) -> FoundFile | None:
        """A file; None where there is none."""
        try:
            return self._found(self._root / path)
        except FileNotFoundError:
            return None

    def chunks(self, path: str) -> Iterator[bytes]:
        """A file's content, piece by piece."""
        with (self._root / path).open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def local(self, path: str) -> Path:
        """Where the file lies."""
        return self._root / path

    def close(self) -> None:
        """Nothing to end."""

    def _found(self, path: Path) -> FoundFile:
        state = path.stat()
        return FoundFile(
            path=path.relative_to(self._root).as_posix(),
            bytes=state.st_size,
            stamp=str(state.st_mtime_ns),
        )
