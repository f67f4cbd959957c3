"""A real SFTP server over a folder, in a thread: how partners deliver files.

Belongs here: the server, its host key, and the faults that it can be told to have. What lies in the
folder belongs to the feeds. Needs ``asyncssh``, which a platform that reads no simulator does not.
"""

import asyncio
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncssh

USER = "retailcorp"
_FOR_READING = 0x1
"""The flag by which the SFTP protocol opens a file to read it."""


def sftp_is_available() -> bool:
    """Whether the server can be run here: the package ``asyncssh`` is installed."""
    return find_spec("asyncssh") is not None


@dataclass(kw_only=True)
class SftpFaults:
    """What goes wrong; changed while the server runs.

    Attributes:
        drop_after: Bytes after which the server closes the line, once; None: it does not.
        seconds_a_read: How long each read of a piece takes.
    """

    drop_after: int | None = None
    seconds_a_read: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SftpServer:
    """A running server.

    Attributes:
        host: Its address.
        port: Its port.
        host_key: Its public key, as a client pins it.
        user: Who may log in.
        password: Of that user.
        faults: What goes wrong.
        reads: Paths of files as they were opened, one entry each time.
    """

    host: str
    port: int
    host_key: str
    user: str
    password: str = field(repr=False)
    faults: SftpFaults
    reads: list[str]

    def url(self, path: str = "") -> str:
        """The address of a folder below the served one."""
        return f"sftp://{self.user}@{self.host}:{self.port}/{path}".rstrip("/")


@contextmanager
def serve_sftp(
    root: Path,
    *,
    password: str | None = None,
    private_key: Path | None = None,
    client_key: str | None = None,
) -> Iterator[SftpServer]:
    """Serves a folder, read and write, while the block runs.

    Args:
        root: The folder; clients see nothing above it.
        password: Of the user; made up where it is None.
        private_key: File of the server's own key, made when it is missing; None: a new one.
        client_key: Public key with which the user may log in as well.
    """
    password = password or secrets.token_urlsafe(16)
    faults, reads = SftpFaults(), []
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sftp", daemon=True)
    thread.start()
    key = _host_key(private_key)
    listening = asyncio.run_coroutine_threadsafe(
        _listen(root, password, key, client_key, faults, reads), loop
    )
    try:
        acceptor = listening.result()
        yield SftpServer(
            host="127.0.0.1",
            port=acceptor.get_port(),
            host_key=key.export_public_key().decode().strip(),
            user=USER,
            password=password,
            faults=faults,
            reads=reads,
        )
        asyncio.run_coroutine_threadsafe(_close(acceptor), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _host_key(file: Path | None) -> "asyncssh.SSHKey":
    import asyncssh

    if file is not None and file.exists():
        return asyncssh.read_private_key(str(file))
    key = asyncssh.generate_private_key("ssh-ed25519")
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        key.write_private_key(str(file))
        file.chmod(0o600)
    return key


async def _close(acceptor: "asyncssh.SSHAcceptor") -> None:
    acceptor.close()
    await acceptor.wait_closed()
    # Lines that clients left open: their tasks end with them.
    own = asyncio.current_task()
    for task in asyncio.all_tasks():
        if task is not own:
            task.cancel()


async def _listen(
    root: Path,
    secret: str,
    key: "asyncssh.SSHKey",
    client_key: str | None,
    faults: SftpFaults,
    reads: list[str],
) -> "asyncssh.SSHAcceptor":
    import asyncssh

    class Login(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return secrets.compare_digest(f"{username}:{password}", f"{USER}:{secret}")

    class Folder(asyncssh.SFTPServer):
        def __init__(self, channel: Any) -> None:  # noqa: ANN401
            super().__init__(channel, chroot=str(root).encode())
            self.line = channel.get_connection()
            self.sent = 0

        def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
            if pflags & _FOR_READING:
                reads.append(path.decode().lstrip("/"))
            return super().open(path, pflags, attrs)

        async def read(self, file_obj: Any, offset: int, size: int) -> bytes:  # noqa: ANN401
            await asyncio.sleep(faults.seconds_a_read)
            content = super().read(file_obj, offset, size)
            assert isinstance(content, bytes), "files of this machine are read at once"
            self.sent += len(content)
            if faults.drop_after is not None and self.sent > faults.drop_after:
                faults.drop_after = None
                self.line.abort()
            return content

    return await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Login,
        server_host_keys=[key],
        authorized_client_keys=(
            asyncssh.import_authorized_keys(client_key) if client_key else None
        ),
        sftp_factory=Folder,
    )
