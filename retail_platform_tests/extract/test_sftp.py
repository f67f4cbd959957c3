"""Files over SFTP from a real server: who answers is checked, and a line that fails loses nothing.

Proves the SSH and SFTP protocols between asyncssh and paramiko; not the quirks of other servers.
"""

import hashlib
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import asyncssh
import pytest

from retail_platform.extract.files import FileSource
from retail_platform.extract.sftp_store import SftpAccess, SftpFolder
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.simulator.sftp_server import SftpServer, serve_sftp

CONTENT = "no,text\n" + "".join(f"{n},some text of line {n}\n" for n in range(60_000))
SECRET = "correct-horse-battery"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    (folder / "out" / "2026-01-05").mkdir(parents=True)
    (folder / "out" / "2026-01-05" / "counts_20260105T12.csv").write_text(CONTENT)
    (folder / "out" / "2026-01-05" / "other.csv").write_text("x\n")
    return folder


@pytest.fixture
def server(root: Path) -> Iterator[SftpServer]:
    with serve_sftp(root, password=SECRET) as running:
        yield running


@contextmanager
def folder(server: SftpServer, root: str = "out", **access: object) -> Iterator[SftpFolder]:
    given = {"host_keys": server.host_key, "password": server.password, **access}
    opened = SftpFolder(server.url(root), SftpAccess(**given), name="bronze.drops__counts")
    with closing(opened):
        yield opened


def other_key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()


def test_files_are_listed_looked_at_and_read(server: SftpServer) -> None:
    name = "2026-01-05/counts_20260105T12.csv"
    with folder(server) as store:
        (found,) = store.starting_with("2026-01-05/counts_20260105T12")
        assert (found.path, found.bytes) == (name, len(CONTENT))
        assert store.stat(name) == found
        assert b"".join(store.chunks(name)).decode() == CONTENT
        assert {file.path for file in store.walk()} == {name, "2026-01-05/other.csv"}
        assert store.starting_with("2026-01-06/counts_20260106T12") == []
        assert store.stat("2026-01-05/counts_20260105T12.done") is None


def test_a_file_is_downloaded_once_and_hashed_on_the_way(server: SftpServer) -> None:
    with folder(server) as store, closing(FileSource(store, "%Y", "UTC")) as source:
        (found,) = store.starting_with("2026-01-05/counts_20260105T12")
        (landed,) = source.fetch(found)
        assert source.read([landed]).read_all().num_rows == 60_000
        assert landed.sha256 == hashlib.sha256(CONTENT.encode()).hexdigest()
        assert not landed.local.exists(), "its space is given back"
    assert server.reads == ["out/2026-01-05/counts_20260105T12.csv"]


def test_a_server_with_another_key_gets_no_password(server: SftpServer) -> None:
    with (
        folder(server, host_keys=other_key()) as store,
        pytest.raises(PermanentFailure, match="shows the host key ssh-ed25519 SHA256:") as one,
    ):
        store.stat("2026-01-05/other.csv")
    assert "expected ssh-ed25519 SHA256:" in str(one.value)
    assert "no login was sent" in str(one.value)


def test_during_a_change_of_keys_both_are_pinned(server: SftpServer) -> None:
    """As ``ssh-keyscan`` prints them, host first."""
    lines = f"# comment\n[host]:22 {other_key()}\n[host]:22 {server.host_key}"
    with folder(server, host_keys=lines) as store:
        assert store.stat("2026-01-05/other.csv") is not None


@pytest.mark.parametrize("text", ["", "no key", "ssh-ed25519 !!!", "ssh-ed25519"])
def test_a_pinned_key_that_is_none_says_how_to_get_it(server: SftpServer, text: str) -> None:
    with (
        folder(server, host_keys=text) as store,
        pytest.raises(PermanentFailure, match=rf"`ssh-keyscan -p {server.port} 127\.0\.0\.1`"),
    ):
        store.stat("x")


def test_a_wrong_password_is_permanent_and_not_told(
    server: SftpServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        folder(server, password="not-the-password") as store,
        pytest.raises(PermanentFailure, match="refuses the login of retailcorp") as failure,
    ):
        store.stat("2026-01-05/other.csv")
    told = [str(failure.value), repr(failure.value.__cause__), caplog.text, repr(store._access)]
    assert not [text for text in told if "not-the-password" in text]


def test_a_private_key_logs_in(root: Path) -> None:
    own = asyncssh.generate_private_key("ssh-ed25519")
    public = own.export_public_key().decode()
    text = own.export_private_key(passphrase="s3same", rounds=1).decode()
    with serve_sftp(root, client_key=public) as server:
        key = {"password": None, "private_key": text}
        with folder(server, **key, passphrase="s3same") as store:
            assert store.stat("2026-01-05/other.csv") is not None
        with (
            folder(server, **key, passphrase="wrong") as store,
            pytest.raises(PermanentFailure, match=r"private key of .* cannot be read"),
        ):
            store.stat("2026-01-05/other.csv")


def test_a_line_that_drops_in_the_middle_is_transient_and_the_next_attempt_whole(
    server: SftpServer,
) -> None:
    server.faults.drop_after = 200_000
    with folder(server) as store:
        name = "2026-01-05/counts_20260105T12.csv"
        with pytest.raises(TransientFailure, match="cannot be reached or broke off"):
            b"".join(store.chunks(name))
        assert b"".join(store.chunks(name)).decode() == CONTENT


def test_a_silent_server_is_given_up(server: SftpServer) -> None:
    server.faults.seconds_a_read = 5
    with (
        folder(server, timeout=0.5) as store,
        pytest.raises(TransientFailure, match=r"was silent for 0\.5 s"),
    ):
        b"".join(store.chunks("2026-01-05/counts_20260105T12.csv"))


def test_a_server_that_accepts_and_never_speaks_is_given_up(server: SftpServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"sftp://etl@127.0.0.1:{silent.getsockname()[1]}/out"
        access = SftpAccess(host_keys=server.host_key, password=SECRET, timeout=0.5)
        with (
            closing(SftpFolder(url, access, name="bronze.drops__counts")) as store,
            pytest.raises(TransientFailure, match=r"bronze\.drops__counts"),
        ):
            store.stat("x")


def test_a_server_that_is_not_there_is_transient(server: SftpServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    access = SftpAccess(host_keys=server.host_key, password=SECRET)
    store = SftpFolder(f"sftp://etl@127.0.0.1:{port}/out", access, name="drops")
    with pytest.raises(TransientFailure, match="cannot be reached"):
        store.stat("x")


def test_a_password_in_the_root_is_refused_and_not_repeated() -> None:
    with pytest.raises(PermanentFailure, match="holds a password") as failure:
        SftpFolder(f"sftp://etl:{SECRET}@host/out", SftpAccess(host_keys=""), name="drops")
    assert SECRET not in str(failure.value)


def test_a_file_that_grows_while_it_is_fetched_is_tried_again(
    server: SftpServer, root: Path
) -> None:
    with folder(server) as store, closing(FileSource(store, "%Y", "UTC")) as source:
        (found,) = store.starting_with("2026-01-05/counts_20260105T12")
        with (root / "out" / found.path).open("a") as file:
            file.write("60001,more\n")
        with pytest.raises(TransientFailure, match="it changed while it was read"):
            source.fetch(found)


def test_no_thread_is_left(server: SftpServer) -> None:
    before = threading.active_count()
    with folder(server) as store:
        store.stat("2026-01-05/other.csv")
        (transport,) = [store._transport]
    assert transport is not None
    transport.join(5)
    assert threading.active_count() <= before
