"""No secret of any source is kept or printed: of hours that succeed, are refused, or are betrayed.

Every variable that the platform's catalog names is either here as a secret, or as none: a new one
makes the first test fail until it is judged. Proves Bronze, where secrets are read and nowhere
else; a cluster whose password is right is in `events/test_secured`.
"""

import base64
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

import dagster as dg
import pytest
import yaml
from pydantic import BaseModel

from retail_platform.metadata.connections import FromEnvironment
from retail_platform.metadata.loader import load_catalog
from retail_platform.settings import PACKAGE
from retail_platform.simulator import Simulator
from retail_platform.simulator.http_serving import Quiet, running
from retail_platform_tests.operations.secrets_search import forms, shown
from retail_platform_tests.platform.box import hour_at
from retail_platform_tests.platform.catalogs import contract
from retail_platform_tests.platform.dagster_runs import Location, failures, location, materialised

pytestmark = pytest.mark.filterwarnings("ignore::dagster.PreviewWarning")

DATABASES = ("SALES_DB_URL", "INVENTORY_DB_URL", "SUPPLIERS_DB_URL")
"""Their URLs have the password."""
WEB = (
    "CRM_URL",
    "CRM_TOKEN_URL",
    "SUPPORT_URL",
    "FEEDBACK_URL",
    "SOCIAL_URL",
    "RATES_URL",
    "FACEBOOK_ADS_URL",
    "GOOGLE_ADS_URL",
    "GOOGLE_ADS_TOKEN_URL",
)
"""Their URLs may have a user and a password."""
TOKENS = (
    "CRM_CLIENT_SECRET",
    "SUPPORT_TOKEN",
    "FEEDBACK_TOKEN",
    "SOCIAL_TOKEN",
    "FACEBOOK_ADS_TOKEN",
    "GOOGLE_ADS_REFRESH_TOKEN",
    "GOOGLE_ADS_CLIENT_SECRET",
    "GOOGLE_ADS_DEVELOPER_TOKEN",
    "WAREHOUSE_SFTP_PASSWORD",
    "KAFKA_PASSWORD",
)
STORAGE = ("DEPOT_KEY", "YARD_SAS")
"""Of two sources that the platform's catalog does not have: ADLS by account key and by SAS."""
NO_SECRETS = {
    "CRM_CLIENT_ID",
    "GOOGLE_ADS_CLIENT_ID",
    "GOOGLE_ADS_CUSTOMER",
    "FACEBOOK_ADS_ACCOUNT",
    "POS_LANDING",
    "WEB_ANALYTICS_LANDING",
    "SURVEYS_LANDING",
    "WAREHOUSE_SFTP_ROOT",
    "WAREHOUSE_SFTP_HOST_KEY",
    "KAFKA_BOOTSTRAP",
    "KAFKA_SECURITY",
    "KAFKA_USERNAME",
    "KAFKA_CA_FILE",
    "KAFKA_ARRIVAL",
    "KAFKA_HEARTBEAT",
    "DEPOT_ROOT",
    "YARD_ROOT",
    "STORAGE_ENDPOINT",
}
LOCAL = ("bronze/pos__", "bronze/web_analytics__", "bronze/surveys__")
"""Folders have no secret, and their hours go on."""
NOWHERE = "127.0.0.1:9"


def planted(name: str) -> str:
    """A secret that nothing else holds, with signs that URLs, JSON and base64 write otherwise."""
    if name == "DEPOT_KEY":
        return base64.b64encode(b"pl4nted>depot?key/of the storage account").decode()
    if name == "YARD_SAS":
        return "sv=2024-11-04&sp=rl&sig=pl4nted%2Byard%2Fsas%3D"
    return f'pl4nted-{name.lower()}/k+y=9&"z'


PLANTED = {name: planted(name) for name in (*DATABASES, *WEB, *TOKENS, *STORAGE)}


def catalog(folder: Path) -> Path:
    """The platform's own catalog, with two sources of ADLS beside it."""
    shutil.copytree(PACKAGE / "catalog", folder)
    for source, login in (
        ("depot", {"account_key": {"env": "DEPOT_KEY"}}),
        ("yard", {"sas": {"env": "YARD_SAS"}}),
    ):
        tree = {
            "source": source,
            "connection": {
                "kind": "files",
                "root": {"env": f"{source.upper()}_ROOT"},
                "timezone": "UTC",
                "azure": {**login, "endpoint": {"env": "STORAGE_ENDPOINT"}},
            },
            "tables": [
                {
                    "table": "pallets",
                    "load": "files",
                    "path": "%Y%m%dT%H",
                    "key": ["id"],
                    "silver": {"entity": f"{source}_pallets", "merge": "upsert"},
                }
            ],
        }
        (folder / "sources" / f"{source}.yaml").write_text(yaml.safe_dump(tree))
        terms = contract(f"{source}_pallets", {"id": "bigint"}, ["id"])
        path = folder / "contracts" / "silver" / f"{source}_pallets.yaml"
        path.write_text(yaml.safe_dump(terms))
    return folder


def variables(model: BaseModel) -> Iterator[str]:
    """Every variable that a connection names."""
    for _, value in model:
        if isinstance(value, FromEnvironment):
            yield value.env
        elif isinstance(value, BaseModel):
            yield from variables(value)


def test_every_variable_of_every_source_is_a_secret_here_or_none(tmp_path: Path) -> None:
    tables = load_catalog(catalog(tmp_path / "catalog")).tables
    named = {name for table in tables for name in variables(table.connection)}
    assert named == PLANTED.keys() | NO_SECRETS


@dataclass
class Betrayer:
    """An HTTP server that answers each request with all that it was told, in every form.

    Attributes:
        status: Status of its refusals.
        told: What it was told, as it came.
    """

    status: int
    told: list[str] = field(default_factory=list)


class _Betraying(Quiet, BaseHTTPRequestHandler):
    state: Betrayer

    def do_GET(self) -> None:
        self._betray("")

    def do_HEAD(self) -> None:
        self._betray("")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        form = parse_qs(body)
        if "grant_type" in form and self.state.status != 500:
            # The token is given, and betrayed by whoever is asked with it.
            self.state.told.append(body)
            self._send(200, {"access_token": planted("given"), "expires_in": 3600})
            return
        self._betray(body)

    def _betray(self, body: str) -> None:
        told = f"{self.path}\n{self.headers}\n{body}"
        self.state.told.append(told)
        secrets = [*PLANTED.values(), planted("given")]
        used = {one for secret in secrets for one in forms(secret) if one in told}
        known = [secret for secret in secrets if forms(secret) & used]
        written = [form for secret in known for form in sorted(forms(secret))]
        said = f"{told} means {' '.join(written)}"
        # Storage is asked again and again after any other status.
        status = 403 if "landing" in self.path else self.state.status
        details = [{"errors": [{"message": said, "errorCode": {"queryError": said}}]}]
        error = {"message": said, "status": said, "details": details}
        self._send(status, {"error": error, "error_description": said, said: said})

    def _send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Source-Clock", hour_at(1).isoformat())
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def betraying(status: int) -> Iterator[tuple[Betrayer, str]]:
    """Serves on a free port; yields what it is told, and its address."""
    state = Betrayer(status)
    handler = type("Handler", (_Betraying,), {"state": state})
    with running(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as address:
        yield state, address


def betrayed(address: str) -> dict[str, str]:
    """Variables with all planted secrets: HTTP sources at an address, the others at no server."""
    databases = {
        name: f"postgresql://etl:{quote(PLANTED[name], safe='')}@{NOWHERE}/db" for name in DATABASES
    }
    web = {name: f"http://etl:{quote(PLANTED[name], safe='')}@{address}/api" for name in WEB}
    return {
        **databases,
        **web,
        **{name: PLANTED[name] for name in (*TOKENS, *STORAGE)},
        "KAFKA_BOOTSTRAP": NOWHERE,
        "KAFKA_SECURITY": "sasl_plaintext",
        "KAFKA_USERNAME": "etl",
        "WAREHOUSE_SFTP_ROOT": f"sftp://etl@{NOWHERE}/counts",
        "WAREHOUSE_SFTP_HOST_KEY": "ssh-ed25519 "
        "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
        "DEPOT_ROOT": "abfss://landing@depot.dfs.core.windows.net/pallets",
        "YARD_ROOT": "abfss://landing@yard.dfs.core.windows.net/pallets",
        "STORAGE_ENDPOINT": f"http://{address}/account",
        "CRM_CLIENT_ID": "the-platform",
        "GOOGLE_ADS_CLIENT_ID": "the-platform",
        "GOOGLE_ADS_CUSTOMER": "99",
        "FACEBOOK_ADS_ACCOUNT": "42",
    }


@dataclass
class Kept:
    """What is kept and printed besides the files of the home folder."""

    capfd: pytest.CaptureFixture[str]
    caplog: pytest.LogCaptureFixture
    events: list[str] = field(default_factory=list)

    def run(self, place: Location, number: int, *assets: str) -> dg.ExecuteInProcessResult:
        """Runs an hour and keeps its event log."""
        result = place.run(number, *assets)
        self.events += [entry.to_json() for entry in place.instance.all_logs(result.run_id)]
        return result

    def texts(self) -> dict[str, list[str]]:
        """All of it."""
        out, err = self.capfd.readouterr()
        logs = [f"{one.getMessage()} {one.exc_text} {one.args}" for one in self.caplog.records]
        return {"events": self.events, "output": [out, err], "logs": logs}


@pytest.fixture
def kept(
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> Kept:
    """The process says all that it can, and a failure is told without waiting."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("retail_platform.bronze.assets.RETRIES", dg.RetryPolicy(max_retries=0))
    monkeypatch.setattr("retail_platform.extract.kafka_client.REQUEST_SECONDS", 1.0)
    return Kept(capfd, caplog)


def test_secrets_that_open_every_source(
    kept: Kept, engine_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour of the whole catalog from the simulator's servers, whose secrets are looked for."""
    simulator = Simulator.open(tmp_path / "box", now=hour_at(3), start=hour_at(0))
    simulator.advance_to(hour_at(1))
    with simulator.serve() as environ:
        simulator.catch_up_events()
        for name, value in environ.items():
            if name != "RETAIL_WITHOUT_SOURCES":
                monkeypatch.setenv(name, value)
        without = {*environ["RETAIL_WITHOUT_SOURCES"].split(","), "depot", "yard"}
        folder = catalog(tmp_path / "catalog")
        assets = {
            f"bronze/{table.bronze}"
            for table in load_catalog(folder).tables
            if table.source not in without
        }
        with location(folder, tmp_path / "home", engine_address) as place:
            result = kept.run(place, 0, *sorted(assets))
    assert failures(result) == {}
    assert materialised(result) == assets
    secrets = {name: environ[name] for name in TOKENS if environ.get(name)}
    if "SUPPLIERS_DB_URL" in environ:
        secrets["SUPPLIERS_DB_URL"] = environ["SUPPLIERS_DB_URL"].split("@")[0].split(":")[-1]
    assert len(secrets) >= len(TOKENS) - 2
    # Access tokens of the simulator's own making begin so.
    secrets["access tokens of the CRM"] = "simulated-crm-token"
    assert shown(secrets, tmp_path / "home", kept.texts()) == []


@pytest.mark.parametrize("status", [200, 403, 500])
def test_secrets_that_every_source_betrays(
    kept: Kept, engine_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """Servers answer, or refuse, with all that they were told, in every form; others are away."""
    folder = catalog(tmp_path / "catalog")
    landing = tmp_path / "landing"
    landing.mkdir()
    with (
        betraying(status) as (server, address),
        location(folder, tmp_path / "home", engine_address) as place,
    ):
        for name, value in betrayed(address).items():
            monkeypatch.setenv(name, value)
        for name in ("POS_LANDING", "WEB_ANALYTICS_LANDING", "SURVEYS_LANDING"):
            monkeypatch.setenv(name, str(landing))
        assets = [
            f"bronze/{table.bronze}"
            for table in load_catalog(folder).tables
            if not f"bronze/{table.bronze}".startswith(LOCAL)
        ]
        result = kept.run(place, 0, *assets)
        errors = [str(load.error) for load in place.ledger.loads(status="FAILURE")]
    failed = failures(result)
    assert {step.replace("__", "/", 1) for step in failed} == set(assets)
    assert len(errors) == len(assets)
    told = "\n".join(server.told)
    sent = {
        name for name in (*TOKENS, *STORAGE) if any(one in told for one in forms(PLANTED[name]))
    }
    assert sent >= {"SUPPORT_TOKEN", "FEEDBACK_TOKEN", "SOCIAL_TOKEN", "FACEBOOK_ADS_TOKEN"}
    assert sent >= {"CRM_CLIENT_SECRET", "GOOGLE_ADS_REFRESH_TOKEN", "GOOGLE_ADS_CLIENT_SECRET"}
    assert sent >= {"YARD_SAS"}
    secrets = {
        **PLANTED,
        "signature of YARD_SAS": "pl4nted+yard/sas=",
        "given access token": planted("given"),
        "any of them": "pl4nted",
    }
    assert shown(secrets, tmp_path / "home", {**kept.texts(), "failures": failed.values()}) == []
