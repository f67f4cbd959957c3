"""Files in a container of ADLS Gen2, against Azurite's Blob endpoint.

Proves listing, reading, keys, signatures and what their refusal means; not identities, not access
lists, not accounts with real folders.
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.blob import (
    BlobServiceClient,
    ContainerClient,
    ContainerSasPermissions,
    generate_container_sas,
)

from retail_platform.extract.adls_store import AdlsAccess, AdlsFolder
from retail_platform.extract.file_roots import open_root
from retail_platform.extract.files import FileSource
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.connections import FilesConnection
from retail_platform_tests.extract.azurite import ACCOUNT, Azurite
from retail_platform_tests.platform.box import hour_at
from retail_platform_tests.platform.drops import ENTITY, drops_catalog
from retail_platform_tests.platform.fixtures import Opener

pytestmark = pytest.mark.azurite
CONTENT = "no,text\n" + "".join(f"{n},some text of line {n}\n" for n in range(200_000))
NAME = "2026-01-05/counts_20260105T12.csv"


@pytest.fixture
def container(azurite: Azurite, request: pytest.FixtureRequest) -> Iterator[ContainerClient]:
    """A container of the test's own, with a file of some megabytes below ``out/``."""
    name = f"t{hashlib.sha256(request.node.name.encode()).hexdigest()[:20]}"
    account = {"account_name": ACCOUNT, "account_key": azurite.key}
    with BlobServiceClient(azurite.endpoint, account) as service:
        client = service.create_container(name)
        client.upload_blob(f"out/{NAME}", CONTENT)
        client.upload_blob("out/2026-01-05/other.csv", "x\n")
        client.upload_blob("elsewhere/2026-01-05/counts_20260105T12.csv", "y\n")
        yield client


def folder(azurite: Azurite, container: ContainerClient, **access: str) -> AdlsFolder:
    given = {"account_key": azurite.key, "endpoint": azurite.endpoint, **access}
    root = azurite.root(container.container_name, "out")
    return AdlsFolder(root, AdlsAccess(**given), name="bronze.drops__counts")


def test_files_are_listed_looked_at_and_read_in_pieces(
    azurite: Azurite, container: ContainerClient
) -> None:
    with closing(folder(azurite, container)) as store:
        (found,) = store.starting_with("2026-01-05/counts_20260105T12")
        assert (found.path, found.bytes) == (NAME, len(CONTENT))
        assert store.stat(NAME) == found
        pieces = list(store.chunks(NAME))
        assert len(pieces) > 1
        assert b"".join(pieces).decode() == CONTENT
        assert {file.path for file in store.walk()} == {NAME, "2026-01-05/other.csv"}
        assert store.starting_with("2026") == [], "of its own folder only"
        assert store.stat("2026-01-05/counts_20260105T12.done") is None


def test_a_changed_file_has_another_stamp(azurite: Azurite, container: ContainerClient) -> None:
    """Also where size and second are the same."""
    with closing(folder(azurite, container)) as store:
        before = store.stat("2026-01-05/other.csv")
        container.upload_blob("out/2026-01-05/other.csv", "z\n", overwrite=True)
        after = store.stat("2026-01-05/other.csv")
    assert before is not None
    assert after is not None
    assert (before.bytes, before.stamp != after.stamp) == (after.bytes, True)


def test_a_file_that_changes_after_it_was_listed_is_tried_again(
    azurite: Azurite, container: ContainerClient
) -> None:
    with closing(FileSource(folder(azurite, container), "%Y", "UTC")) as source:
        (found,) = source._store.starting_with("2026-01-05/other")
        container.upload_blob("out/2026-01-05/other.csv", "z\n", overwrite=True)
        with pytest.raises(TransientFailure, match="it changed while it was read"):
            source.fetch(found)
        with pytest.raises(TransientFailure, match=r"gone\.csv: cannot be read \(No such file"):
            source.fetch(type(found)(path="gone.csv", bytes=1, stamp=""))


def test_a_signature_for_the_container_is_enough(
    azurite: Azurite, container: ContainerClient
) -> None:
    sas = generate_container_sas(
        ACCOUNT,
        container.container_name,
        account_key=azurite.key,
        permission=ContainerSasPermissions(read=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    with closing(folder(azurite, container, account_key="", sas=f"?{sas}")) as store:
        assert store.stat("2026-01-05/other.csv") is not None


@pytest.mark.parametrize("key", ["bm90IHRoZSBrZXk=", "no base64!"])
def test_a_wrong_key_is_permanent_and_not_told(
    azurite: Azurite, container: ContainerClient, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "retail_platform")
    with (
        closing(folder(azurite, container, account_key=key)) as store,
        pytest.raises(PermanentFailure, match=r"refuses the platform .*Storage Blob Data") as one,
    ):
        store.stat("2026-01-05/other.csv")
    assert key not in f"{one.value}{one.value.__cause__!r}{caplog.text}{store._access!r}"


def test_a_container_that_is_not_there_says_so(azurite: Azurite) -> None:
    access = AdlsAccess(account_key=azurite.key, endpoint=azurite.endpoint)
    store = AdlsFolder(azurite.root("nowhere", "out"), access, name="drops")
    with closing(store), pytest.raises(PermanentFailure, match="there is no container nowhere"):
        store.starting_with("x")


def test_an_account_that_is_not_there_is_transient(azurite: Azurite) -> None:
    access = AdlsAccess(account_key=azurite.key, endpoint="http://127.0.0.1:9/devstoreaccount1")
    store = AdlsFolder(azurite.root("c", "out"), access, name="drops", retries=0)
    with closing(store), pytest.raises(TransientFailure, match=r"cannot be read .ServiceRequest"):
        store.stat("x")


@pytest.mark.parametrize("root", ["abfss://account.dfs.core.windows.net/x", "abfss://c@account/x"])
def test_a_root_that_cannot_be_read_says_how_it_looks(root: str) -> None:
    with pytest.raises(PermanentFailure, match=r"expected abfss://CONTAINER@ACCOUNT"):
        AdlsFolder(root, AdlsAccess(), name="drops")


def test_roots_of_other_kinds_are_refused() -> None:
    connection = FilesConnection.model_validate(
        {"kind": "files", "root": {"env": "ROOT"}, "timezone": "UTC"}
    )
    with pytest.raises(PermanentFailure, match="ROOT is of kind ftp://"):
        open_root(connection, lambda _: "ftp://host/x", name="drops")
    with pytest.raises(PermanentFailure, match="is an SFTP server; add sftp:"):
        open_root(connection, lambda _: "sftp://u@host/x", name="drops")


def test_a_files_table_is_loaded_from_a_container(
    azurite: Azurite, container: ContainerClient, new_box: Opener, tmp_path: Path
) -> None:
    """Marker, two files, a bad line with its place, a correction, and each content once."""
    login = {"account_key": {"env": "KEY"}, "endpoint": {"env": "ENDPOINT"}}
    box = new_box(drops_catalog(tmp_path / "catalog", {"format": "csv"}, azure=login))
    environ = {
        "LANDING": azurite.root(container.container_name, "drops"),
        "KEY": azurite.key,
        "ENDPOINT": azurite.endpoint,
    }
    stem = f"drops/receipts_{hour_at(0):%Y%m%dT%H}"

    def put(addition: str, text: str) -> None:
        container.upload_blob(f"{stem}{addition}", text, overwrite=True)

    put(".csv", "no,article,price\n1,Bread,1.5\n2,Käse,x\n")
    with pytest.raises(TransientFailure, match="waiting for marker"):
        box.bronze(ENTITY, 0, environ)
    put("_2.csv", "no,article,price\n3,Milk,0.9\n")
    put("_3.csv", "no,article,price\n3,Milk,0.9\n")
    put(".done", "")
    load = box.both(ENTITY, 0, environ)
    assert (load.counts.read, load.counts.quarantined) == (3, 1)
    assert box.quarantined(ENTITY)[0]["place"] == f"{stem.removeprefix('drops/')}.csv line 3"
    put(".csv", "no,article,price\n1,Bread,1.5\n2,Käse,2\n")
    box.both(ENTITY, 0, environ)
    assert sorted(row["no"] for row in box.live(ENTITY)) == [1, 2, 3]
    assert box.bronze(ENTITY, 0, environ).counts.applied == 0
