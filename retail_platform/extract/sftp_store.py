"""A folder of an SFTP server whose host key is pinned: a server with another key is refused.

Belongs here: connection, login and what their faults mean. Which files belong to an hour is in
`files`. paramiko is used itself, for its fsspec face takes any host key.
"""

import base64
import hashlib
import io
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import paramiko
from paramiko.pkey import UnknownKeyType

from retail_platform.extract.file_store import CHUNK_BYTES, FoundFile
from retail_platform.failures import PermanentFailure, PlatformFailure, TransientFailure

_PORT = 22
_REQUESTS_AHEAD = 32
"""Requests of 32 kB that are under way at once: a megabyte, enough for long lines."""
_KEY_KINDS = ("ssh-", "ecdsa-", "sk-")


@dataclass(frozen=True, kw_only=True)
class SftpAccess:
    """How a server is recognised and entered; never printed with its secrets.

    Attributes:
        host_keys: The server's public keys, a line each.
        password: Password of the user; None where a key is used.
        private_key: Text of the user's private key.
        passphrase: Of that key.
        timeout: Seconds of silence after which the server counts as gone.
    """

    host_keys: str
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    timeout: float = 30.0


class SftpFolder:
    """A folder of an SFTP server; connected when it is first asked."""

    def __init__(self, root: str, access: SftpAccess, *, name: str) -> None:
        """Name the folder.

        Args:
            root: ``sftp://USER@HOST[:PORT]/path``; the path is the server's, from its root.
            access: How the server is recognised and entered.
            name: Source and table in messages.

        Raises:
            PermanentFailure: the root cannot be read, or has a password in it.
        """
        parts = urlsplit(root)
        if parts.password is not None:
            raise PermanentFailure(
                f"{name}: the SFTP root holds a password; name the variable that has it in the "
                "source's connection, sftp: {password: {env: ...}}, and leave it out of the root"
            )
        if not parts.hostname or not parts.username:
            raise PermanentFailure(
                f"{name}: the SFTP root names no user or no host; expected sftp://USER@HOST/path"
            )
        self._host, self._port = parts.hostname, parts.port or _PORT
        self._user = unquote(parts.username)
        self._root = unquote(parts.path).rstrip("/")
        self._access = access
        self._name = name
        self._transport: paramiko.Transport | None = None
        self._client: paramiko.SFTPClient | None = None

    @property
    def place(self) -> str:
        """The root without secrets."""
        return f"sftp://{self._user}@{self._host}:{self._port}{self._root}"

    def starting_with(self, stem: str) -> list[FoundFile]:
        """Files whose path begins with ``stem``, of its own folder, by path."""
        folder, _, name = stem.rpartition("/")
        found = [file for file, _ in self._entries(folder) if file.name.startswith(name)]
        return sorted(found, key=lambda file: file.path)

    def walk(self) -> Iterator[FoundFile]:
        """Every file below the root, in no order."""
        waiting = [""]
        while waiting:
            waiting += yield from self._walked(waiting.pop())

    def stat(self, path: str) -> FoundFile | None:
        """A file; None where there is none."""
        try:
            with self._faults():
                return _found(path, self._connected().stat(f"{self._root}/{path}"))
        except FileNotFoundError:
            return None

    def chunks(self, path: str) -> Iterator[bytes]:
        """A file's content, piece by piece."""
        with self._faults():
            client = self._connected()
            with client.open(f"{self._root}/{path}", "rb") as file:
                size = file.stat().st_size or 0
                file.prefetch(size, max_concurrent_requests=_REQUESTS_AHEAD)
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk

    def local(self, path: str) -> Path | None:
        """None: every file has to be fetched."""
        del path

    def close(self) -> None:
        """Ends the connection."""
        if self._transport is not None:
            self._transport.close()
        self._transport = self._client = None

    def _walked(self, folder: str) -> Iterator[FoundFile]:
        """Yields a folder's files and returns its folders."""
        folders = []
        for file, is_folder in self._entries(folder, folders=True):
            if is_folder:
                folders.append(file.path)
            else:
                yield file
        return folders

    def _entries(self, folder: str, *, folders: bool = False) -> list[tuple[FoundFile, bool]]:
        """Entries of a folder, each with whether it is one itself; none where it is missing."""
        place = f"{self._root}/{folder}" if folder else self._root or "/"
        try:
            with self._faults():
                entries = self._connected().listdir_attr(place)
        except FileNotFoundError:
            return []
        below = f"{folder}/" if folder else ""
        return [
            (_found(f"{below}{entry.filename}", entry), stat.S_ISDIR(entry.st_mode or 0))
            for entry in entries
            if folders or not stat.S_ISDIR(entry.st_mode or 0)
        ]

    def _connected(self) -> paramiko.SFTPClient:
        if self._client is not None:
            return self._client
        seconds = self._access.timeout
        pinned = self._pinned_keys()
        line = socket.create_connection((self._host, self._port), timeout=seconds)
        self._transport = transport = paramiko.Transport(line)
        transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = seconds
        options = transport.get_security_options()
        # A server may have keys of several kinds: it is asked for the ones that are pinned first.
        kinds = {signature for key in pinned for signature in _signatures(key)}
        options.key_types = sorted(options.key_types, key=lambda kind: kind not in kinds)
        transport.start_client(timeout=seconds)
        shown = transport.get_remote_server_key()
        if shown not in pinned:
            raise self._other_host_key(shown, pinned)
        key = self._private_key()
        if key is not None:
            transport.auth_publickey(self._user, key)
        else:
            transport.auth_password(self._user, self._access.password or "")
        channel = transport.open_session(timeout=seconds)
        channel.settimeout(seconds)
        channel.invoke_subsystem("sftp")
        self._client = paramiko.SFTPClient(channel)
        return self._client

    def _pinned_keys(self) -> list[paramiko.PKey]:
        lines = [line.split() for line in self._access.host_keys.splitlines()]
        keys = [parts for parts in lines if parts and not parts[0].startswith("#")]
        found = []
        for parts in keys or [[]]:
            # ssh-keyscan writes the host before its key, key files a comment behind it.
            begin = next((n for n, part in enumerate(parts) if part.startswith(_KEY_KINDS)), -1)
            try:
                kind, text = parts[begin : begin + 2]
                raw = base64.b64decode(text, validate=True)
                found.append(paramiko.PKey.from_type_string(kind, raw))
            except (ValueError, paramiko.SSHException, UnknownKeyType) as error:
                raise self._bad_host_key() from error
        return found

    def _bad_host_key(self) -> PermanentFailure:
        return PermanentFailure(
            f"{self._name}: sftp.host_key is no public key; expected a line such as "
            f"ssh-ed25519 AAAA..., which `ssh-keyscan -p {self._port} {self._host}` prints; "
            "compare its fingerprint with the one that the server's owner names"
        )

    def _private_key(self) -> paramiko.PKey | None:
        if self._access.private_key is None:
            return None
        for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
            try:
                text = io.StringIO(self._access.private_key)
                return kind.from_private_key(text, self._access.passphrase)
            except (paramiko.SSHException, ValueError):
                continue
        raise PermanentFailure(
            f"{self._name}: the private key of {self.place} cannot be read; expected the text of "
            "an Ed25519, ECDSA or RSA key file, and its passphrase where it has one"
        )

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """What goes wrong on the line, as what has to be done about it."""
        try:
            yield
        except PlatformFailure:
            self.close()
            raise
        except paramiko.AuthenticationException as error:
            self.close()
            raise PermanentFailure(
                f"{self._name}: {self.place} refuses the login of {self._user}; check user and "
                "the variable that has the password or key"
            ) from error
        except (FileNotFoundError, PermissionError):
            # One file's fault, which its reader tells; the rest is the line's.
            raise
        except (paramiko.SSHException, paramiko.SFTPError, EOFError, OSError) as error:
            raise self._lost(error) from error

    def _other_host_key(
        self, shown: paramiko.PKey, pinned: Sequence[paramiko.PKey]
    ) -> PermanentFailure:
        expected = ", ".join(_fingerprint(key) for key in pinned)
        return PermanentFailure(
            f"{self._name}: {self.place} shows the host key {_fingerprint(shown)}, expected "
            f"{expected}; no login was sent. Ask the server's owner: if the key was changed, put "
            "the new one into the variable that sftp.host_key names; if not, somebody else answers "
            "in its place"
        )

    def _lost(self, error: BaseException) -> TransientFailure:
        self.close()
        what = (
            f"was silent for {self._access.timeout:g} s"
            if isinstance(error, TimeoutError)
            else f"cannot be reached or broke off ({type(error).__name__})"
        )
        return TransientFailure(
            f"{self._name}: {self.place} {what}; nothing was committed and it is tried again; if "
            "it goes on, check the server and the way to it"
        )


def _found(path: str, entry: paramiko.SFTPAttributes) -> FoundFile:
    return FoundFile(path=path, bytes=entry.st_size or 0, stamp=str(entry.st_mtime))


def _signatures(key: paramiko.PKey) -> tuple[str, ...]:
    """Kinds of signatures that a key gives, as a server offers them."""
    kind = key.get_name()
    return ("rsa-sha2-512", "rsa-sha2-256", kind) if kind == "ssh-rsa" else (kind,)


def _fingerprint(key: paramiko.PKey) -> str:
    """As ``ssh-keygen -l`` prints it."""
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return f"{key.get_name()} SHA256:{digest}"
