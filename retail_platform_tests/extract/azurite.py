"""A throw-away Azurite, the storage emulator of Azure, where the machine has one installed.

It has the Blob endpoint only: renames of folders, access lists and identities are not proven by it.
"""

import base64
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from retail_platform_tests.services import require_service

ACCOUNT = "devstoreaccount1"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_INSTALLED = _CACHE / "retail_platform" / "azurite" / "node_modules" / ".bin"
"""Where ``.ci/run`` puts it."""
_START_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Azurite:
    """A running emulator.

    Attributes:
        endpoint: Its Blob endpoint.
        key: Key of its account.
    """

    endpoint: str
    key: str = field(repr=False)

    def root(self, container: str, path: str = "") -> str:
        """The ADLS URL of a folder."""
        return f"abfss://{container}@{ACCOUNT}.dfs.core.windows.net/{path}".rstrip("/")

    @property
    def storage_environment(self) -> dict[str, str]:
        """Variables by which the embedded engine and delta-rs find it."""
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": self.key,
            "AZURE_STORAGE_USE_EMULATOR": "true",
            "AZURITE_BLOB_STORAGE_URL": self.endpoint.removesuffix(f"/{ACCOUNT}"),
        }


@contextmanager
def azurite_server() -> Iterator[Azurite]:
    """Serves from memory; without Azurite the test is skipped or fails (see `services`)."""
    program = _program()
    require_service("azurite (npm)", found=program is not None)
    assert program is not None
    folder = Path(tempfile.mkdtemp(prefix="azurite-"))
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    port = _free_port()
    command = [program, "--silent", "--loose", "--skipApiVersionCheck", "--inMemoryPersistence"]
    place = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--disableTelemetry"]
    server = subprocess.Popen(
        [*command, *place],
        cwd=folder,
        env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(server, port)
        yield Azurite(endpoint=f"http://127.0.0.1:{port}/{ACCOUNT}", key=key)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


def _program() -> Path | None:
    found = shutil.which("azurite-blob", path=f"{_INSTALLED}{os.pathsep}{os.environ['PATH']}")
    return Path(found) if found and shutil.which("node") else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        assert server.poll() is None, "Azurite ended while starting"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "Azurite did not start in time"
            time.sleep(0.1)
        else:
            return
