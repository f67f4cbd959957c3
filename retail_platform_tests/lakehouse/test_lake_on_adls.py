"""The lake in a container: the embedded engine and delta-rs load one hour into it.

Proves writes, merges and commits through Azurite's Blob endpoint with an account key; not the
renames of accounts with real folders, and no identities.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from retail_platform_tests.extract.azurite import ACCOUNT, Azurite

CHILD = Path(__file__).with_name("lake_on_adls.py")


@pytest.mark.azurite
def test_bronze_and_silver_of_an_hour_live_in_a_container(azurite: Azurite, tmp_path: Path) -> None:
    account = {"account_name": ACCOUNT, "account_key": azurite.key}
    with BlobServiceClient(azurite.endpoint, account) as service:
        container = service.create_container("lake")
        child = subprocess.run(
            [sys.executable, CHILD, azurite.root("lake", "one"), tmp_path],
            check=False,
            env={**os.environ, **azurite.storage_environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert child.returncode == 0, child.stderr[-3_000:]
        assert json.loads(child.stdout) == {
            "rows": [[1, "Bread", "1.7500"], [2, "Milk", "2.0000"]],
            "quarantined": 1,
            "applied": [2, 2],
            "swept": 1,
            "bronze": 5,
            "staged": 3,
        }
        tables = {
            name.removeprefix("one/").partition("/_delta_log/")[0]
            for name in container.list_blob_names(name_starts_with="one/")
            if "/_delta_log/" in name
        }
    assert {"bronze/drops__receipts", "silver/receipts", "quarantine/receipts"} <= tables
    assert not list(Path.cwd().glob("abfss*")), "nothing went to a folder of that name"
