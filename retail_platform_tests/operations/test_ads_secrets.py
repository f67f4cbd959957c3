"""Planted tokens of both ad platforms: nothing that the platform keeps or prints shows them.

Hours that succeed and hours that fail, as Dagster runs: event log with tracebacks and metadata,
lake, control database, and the process's output.
"""

import shutil
from pathlib import Path

import pytest

from retail_platform.settings import PACKAGE
from retail_platform.simulator.ads_faults import Faults
from retail_platform_tests.platform.box import HOUR, hour_at
from retail_platform_tests.platform.dagster_runs import Location, failures, location, materialised
from retail_platform_tests.silver.ads_platforms import (
    FACEBOOK_TABLE,
    GOOGLE_TABLE,
    Platforms,
    platforms,
)

SECRETS = (
    "FACEBOOK_ADS_TOKEN",
    "GOOGLE_ADS_REFRESH_TOKEN",
    "GOOGLE_ADS_CLIENT_SECRET",
    "GOOGLE_ADS_DEVELOPER_TOKEN",
)
BRONZE = ("bronze/facebook_ads__insights", "bronze/google_ads__campaign_performance")


def ads_catalog(folder: Path) -> Path:
    """The platform's own sources and contracts of both platforms."""
    for entity, source in ((FACEBOOK_TABLE, "facebook_ads"), (GOOGLE_TABLE, "google_ads")):
        for path in (f"sources/{source}.yaml", f"contracts/silver/{entity}.yaml"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PACKAGE / "catalog" / path, folder / path)
    return folder


def run(box: Location, running: Platforms, number: int) -> tuple[set[str], dict[str, str], str]:
    """Runs an hour; gives what it materialised, what failed, and its whole event log."""
    running.now = hour_at(number) + HOUR
    result = box.run(number, *BRONZE)
    log = "\n".join(entry.to_json() for entry in box.instance.all_logs(result.run_id))
    return materialised(result), failures(result), log


def test_no_token_is_kept_or_printed(
    engine_address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The failing hour's tokens are refused by both platforms, one with the secret in the URL."""
    faults = Faults(kinds={})
    with (
        platforms(faults) as running,
        location(ads_catalog(tmp_path / "catalog"), tmp_path / "home", engine_address) as box,
    ):
        for name, value in running.environ.items():
            monkeypatch.setenv(name, value)
        planted = {running.environ[name] for name in SECRETS}
        done, _, good = run(box, running, 0)
        assert done == set(BRONZE)
        planted |= running.server.google.valid
        monkeypatch.setenv("FACEBOOK_ADS_TOKEN", "pl4nted-facebook-token")
        monkeypatch.setenv("GOOGLE_ADS_CLIENT_SECRET", "pl4nted/client=secret")
        planted |= {"pl4nted-facebook-token", "pl4nted/client=secret", "pl4nted"}
        done, failed, bad = run(box, running, 1)
        assert not done
        assert len(failed) == len(BRONZE)
        errors = [load.error or "" for load in box.ledger.loads(status="FAILURE")]
        assert len(errors) == len(BRONZE)
    printed = capfd.readouterr()
    texts = {
        "event log of the good hour": good,
        "event log of the failed hour": bad,
        "ledger": "\n".join(errors),
        "output": printed.out + printed.err,
    }
    shown = [
        f"{place}: {secret}"
        for place, text in texts.items()
        for secret in planted
        if secret in text
    ]
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert len(files) > len(BRONZE)
    shown += [
        f"{path.name}: {secret}"
        for path in files
        for secret in planted
        if secret.encode() in path.read_bytes()
    ]
    assert shown == []
