"""``audit``: requests with their loads, figures of a load, and the comparison with the source."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from retail_platform.bronze.load import BronzeLoader
from retail_platform.cli import main
from retail_platform.cli.platform import Platform
from retail_platform.control.ledger import Counts
from retail_platform.control.loads import LIVE_LAYER
from retail_platform.control.requests import Request, RequestKind
from retail_platform.extract.opening import open_reader
from retail_platform.extract.window import HOUR
from retail_platform_tests.kafka import kafka_source
from retail_platform_tests.platform.box import hour_at
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.sources import Database
from retail_platform_tests.silver.modes import PLAIN


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform of one incremental table, found by its environment as commands find it."""
    row = {
        "table": "contacts",
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": "contacts", "merge": "upsert"},
    }
    catalog = write_catalog(
        tmp_path / "catalog", [sql_source("box", [row])], [contract("contacts", PLAIN, ["id"])]
    )
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RETAIL_CATALOG", str(catalog))
    return Platform.here()


def loaded(platform: Platform, request: Request | None, *, fails: bool = False) -> None:
    ledger = platform.control.ledger
    number = ledger.start(
        asset="silver/contacts",
        layer="silver",
        hour=hour_at(0),
        run_id="run",
        engine="embedded",
        window=None,
        request=request,
    )
    if fails:
        ledger.fail(number, "no")
    else:
        ledger.succeed(number, Counts(read=10, applied=10), bytes=2**20)


def audited(*arguments: str) -> dict[str, list[dict[str, Any]]]:
    result = CliRunner().invoke(main, ["audit", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_requests_are_shown_with_their_loads(platform: Platform) -> None:
    """A request is the parent of its loads; only it is a partial success."""
    requests = platform.control.requests
    request = requests.open(
        table="contacts",
        kind=RequestKind.REPROCESS,
        first_hour=hour_at(0),
        last_hour=hour_at(1),
        hours=2,
        reason="missed",
        requester="Ada",
    )
    loaded(platform, None)
    loaded(platform, request)
    requests.hour_ended(request.id, succeeded=True)
    requests.hour_ended(request.id, succeeded=False, error="hour 1: no")
    requests.finish(request.id)
    everything = audited()
    assert [load["request_id"] for load in everything["loads"]] == [None, request.id]
    (shown,) = everything["requests"]
    assert (shown["status"], shown["requester"]) == ("PARTIAL_SUCCESS", "Ada")
    assert [load["attempt"] for load in shown["loads"]] == [2]
    assert everything["loads"][1]["reason"] == f"request {request.id}: missed"
    assert platform.control.ledger.has_succeeded("silver/contacts"), "no missed hour"
    partial = audited("--status", "PARTIAL_SUCCESS")
    assert (len(partial["requests"]), partial["loads"]) == (1, [])
    text = CliRunner().invoke(main, ["audit"]).output
    assert "1 of 2" in text
    assert "hour 1: no" in text


def test_loads_are_chosen_by_table_status_and_time(platform: Platform) -> None:
    """A table's name stands for all of its layers, a duration for so long ago."""
    loaded(platform, None)
    loaded(platform, None, fails=True)
    assert len(audited("--table", "contacts", "--since", "1h")["loads"]) == 2
    assert len(audited("--table", "silver/contacts")["loads"]) == 2
    assert audited("--table", "bronze/box__contacts")["loads"] == []
    assert audited("--since", "2100-01-01T00:00")["loads"] == []
    (failed,) = audited("--status", "FAILURE")["loads"]
    assert failed["seconds_per_million_rows"] is None
    (done,) = audited("--status", "SUCCESS")["loads"]
    assert done["seconds_per_million_rows"] == pytest.approx(done["seconds"] * 1e5)
    assert (done["bytes"], done["cluster"], done["cost_usd"]) == (2**20, None, None)


def test_micro_batches_are_found_by_the_name_of_their_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A live table has one layer only."""
    columns = {"id": "bigint", "changed_at": "timestamp"}
    row = {"table": "stock", "topic": "t", "key": ["id"], "sequence": "changed_at"}
    contracts = [
        contract("events", {"id": "bigint"}, ["id"]),
        contract("stock", columns, ["id"], required=["changed_at"]),
    ]
    catalog = write_catalog(tmp_path / "web", [{**kafka_source("t"), "live": [row]}], contracts)
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RETAIL_CATALOG", str(catalog))
    ledger = Platform.here().control.ledger
    for read in (3, 4):
        number = ledger.start(
            asset="silver/stock",
            layer=LIVE_LAYER,
            hour=hour_at(0),
            run_id="run",
            engine="delta-rs",
            window=None,
        )
        ledger.succeed(number, Counts(read=read, applied=read))
    assert [load["read"] for load in audited("--table", "stock")["loads"]] == [3, 4]


def test_compare_names_the_hours_and_the_command(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1 with late rows, 0 once the hour was read again."""
    source = Database(tmp_path / "box.db")
    source.create("contacts", "id TEXT, amount TEXT, modified_at TEXT")
    monkeypatch.setenv("BOX_URL", source.url)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hours = [now - 3 * HOUR, now - 2 * HOUR]
    source.execute("CREATE TABLE clock (now TEXT)")
    source.insert("clock", [source.local(now)])

    def put(number: int, hour: datetime) -> None:
        moment = source.local(hour + timedelta(minutes=30))
        source.insert("contacts", (str(number), "1", moment))

    def read(hour: datetime) -> None:
        table = platform.catalog.by_entity["contacts"]
        with (
            platform.lakehouse() as lakehouse,
            open_reader(table, platform.control.files) as reader,
        ):
            BronzeLoader(
                table=table,
                reader=reader,
                lakehouse=lakehouse.lake,
                ledger=platform.control.ledger,
                run_id="run",
                engine="embedded",
            ).load(hour)

    put(1, hours[0])
    put(2, hours[1])
    for hour in hours:
        read(hour)
    equal = CliRunner().invoke(main, ["audit", "--compare", "--table", "contacts"])
    assert (equal.exit_code, equal.output) == (0, "No hour differs.\n")
    put(3, hours[1])
    late = CliRunner().invoke(main, ["audit", "--compare"])
    assert late.exit_code == 1
    assert "source 2, Bronze 1: 1 late" in late.output
    start, end = f"{hours[1]:%Y-%m-%d-%H:%M}", f"{hours[1] + HOUR:%Y-%m-%d-%H:%M}"
    assert f"retail-platform reprocess contacts --from {start} --to {end}" in late.output
    read(hours[1])
    again = CliRunner().invoke(main, ["audit", "--compare", "--json"])
    assert again.exit_code == 0
    assert json.loads(again.stdout) == {"hours": [], "commands": []}
