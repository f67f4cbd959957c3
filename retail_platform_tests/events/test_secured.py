"""A cluster behind TLS and a password, as Event Hubs is; secrets stay out of all that is kept.

Proves the client's settings against a real broker with SASL_SSL and PLAIN. It does not prove Event
Hubs' own limits.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from retail_platform.simulator.kafka_server import free_port
from retail_platform_tests.kafka import Cluster, kafka_cluster, kafka_source
from retail_platform_tests.platform.box import hour_at
from retail_platform_tests.platform.catalogs import contract, write_catalog
from retail_platform_tests.platform.certificates import self_signed
from retail_platform_tests.platform.dagster_runs import (
    Location,
    checks,
    failures,
    location,
    materialised,
)

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.xdist_group("kafka"),
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
]

USER = "$ConnectionString"
PASSWORD = "Endpoint=sb://shop.example/;SharedAccessKeyName=etl;SharedAccessKey=pl4nted+Key/1="
WRONG = "Endpoint=sb://shop.example/;SharedAccessKeyName=etl;SharedAccessKey=wr0ng+Key/2="
PLANTED = ("pl4nted", "wr0ng")
SECURED = {
    "security": "sasl_ssl",
    "username": {"env": "KAFKA_USER"},
    "password": {"env": "KAFKA_PASSWORD"},
    "ca_file": {"env": "KAFKA_CA"},
}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, str, Path]]:
    """A cluster with a second listener, the address of that one, and who signed for it."""
    folder = tmp_path_factory.mktemp("tls")
    signed, port = self_signed(folder, "broker"), free_port()
    plain = "listener.name.secured.plain.sasl.jaas.config"
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    # The file is read as Java properties, where a backslash escapes.
    settings = {
        "listeners": f"SECURED://127.0.0.1:{port}",
        "advertised.listeners": f"SECURED://127.0.0.1:{port}",
        "listener.security.protocol.map": "SECURED:SASL_SSL",
        "listener.name.secured.sasl.enabled.mechanisms": "PLAIN",
        plain: f'{login} "user_{USER}"="{PASSWORD}";',
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(signed.both),
    }
    with kafka_cluster(settings) as cluster:
        yield cluster, f"127.0.0.1:{port}", signed.certificate


@pytest.fixture
def hourly(
    secured: tuple[Cluster, str, Path],
    tmp_path: Path,
    engine_address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Location]:
    """The hourly job over a topic of the secured cluster."""
    cluster, address, certificate = secured
    topic = cluster.topic()
    cluster.put(topic, {"id": 1}, {"id": 2}, at=hour_at(0))
    monkeypatch.setenv("KAFKA", address)
    monkeypatch.setenv("KAFKA_USER", USER)
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    monkeypatch.setenv("KAFKA_CA", str(certificate))
    catalog = write_catalog(
        tmp_path / "catalog",
        [kafka_source(topic, **SECURED)],
        [contract("events", {"id": "bigint"}, ["id"])],
    )
    monkeypatch.setattr("retail_platform.bronze.assets.RETRIES", dg.RetryPolicy(max_retries=1))
    with location(catalog, tmp_path, engine_address) as opened:
        yield opened


def test_a_secured_topic_is_read_and_its_password_is_nowhere(
    hourly: Location,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither events nor logs, ledger or lake show it; the checks of the stream are there."""
    caplog.set_level(logging.DEBUG)
    result = hourly.run(0)
    assert materialised(result) == {"bronze/web__events", "silver/events"}
    assert checks(result)["bronze/web__events", "offsets_complete"] is True
    _nothing_planted(hourly, result, tmp_path, capfd, caplog)


def test_a_wrong_password_is_a_failure_that_names_the_cure_only(
    hourly: Location,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not tried again."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("KAFKA_PASSWORD", WRONG)
    monkeypatch.setattr("retail_platform.extract.kafka_client.REQUEST_SECONDS", 2.0)
    result = hourly.run(0)
    (found,) = [text for step, text in failures(result).items() if "bronze" in step]
    assert "Check user name, password and security" in found
    (row,) = hourly.ledger.loads(asset="bronze/web__events")
    assert "Check user name, password and security" in str(row.error)
    _nothing_planted(hourly, result, tmp_path, capfd, caplog)


def test_a_certificate_of_nobody_known_is_refused(
    hourly: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker must be who it says it is."""
    monkeypatch.setenv("KAFKA_CA", "")
    monkeypatch.setattr("retail_platform.extract.kafka_client.REQUEST_SECONDS", 2.0)
    result = hourly.run(0)
    assert not result.success
    (found,) = [text for step, text in failures(result).items() if "bronze" in step]
    assert "certificate" in found


def _nothing_planted(
    hourly: Location,
    result: dg.ExecuteInProcessResult,
    home: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    printed = capfd.readouterr()
    kept = [
        repr(result.all_events),
        repr(hourly.instance.all_logs(result.run_id)),
        repr(hourly.ledger.loads()),
        printed.out,
        printed.err,
        caplog.text,
        *(path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file()),
    ]
    for secret in PLANTED:
        assert not [text[:80] for text in kept if secret in text]
