"""The quarantine as commands and as jobs: the same rows, closed by the same functions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from retail_platform.cli import main
from retail_platform.control.resource import ControlResource
from retail_platform.lakehouse.resource import LakehouseResource
from retail_platform.metadata.loader import Catalog
from retail_platform.operations.executor import platform_executor
from retail_platform.operations.quarantine import build_quarantine_defs
from retail_platform.partitions import hourly_partitions, key_of
from retail_platform.quality.quarantined import RowStatus
from retail_platform.silver.assets import build_silver_asset
from retail_platform_tests.platform.box import FIRST_HOUR, Box, hour_at, open_box
from retail_platform_tests.platform.sources import ArrowReader
from retail_platform_tests.silver.modes import PLAIN, modes_catalog

WIDER = {"amount is negative": "amount >= -1"}
AT = "2026-01-05 12:10:00"
WHO = ["--person", "Ada", "--because", "refunds are real"]
Opened = Callable[[], Box]


def contacts_only(catalog: Catalog) -> Catalog:
    return Catalog(tables=(catalog.by_entity["contacts"],))


@pytest.fixture
def home(tmp_path: Path, engine_address: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder whose quarantine holds three rows, and a contract that has been corrected."""
    strict = contacts_only(modes_catalog(tmp_path / "strict"))
    modes_catalog(tmp_path / "catalog", rules=WIDER, version="1.1.0")
    with open_box(tmp_path, strict, engine_address) as box:
        rows = [("1", "-1"), ("2", "-9"), ("3", "many"), ("4", "4")]
        read = [{"id": i, "amount": amount, "modified_at": AT} for i, amount in rows]
        box.bronze_from("contacts", 0, ArrowReader.at(0, read, list(PLAIN)))
        box.silver("contacts", 0)
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path))
    monkeypatch.setenv("RETAIL_CATALOG", str(tmp_path / "catalog"))
    monkeypatch.setenv("RETAIL_ENGINE_URL", engine_address)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path


@pytest.fixture
def opened(home: Path, engine_address: str) -> Opened:
    """What the tables hold now, read through a box that is closed again."""

    def reopened() -> Box:
        catalog = contacts_only(modes_catalog(home / "catalog", rules=WIDER, version="1.1.0"))
        with open_box(home, catalog, engine_address) as box:
            return box

    return reopened


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["quarantine", *arguments])


def listed(*arguments: str) -> dict[tuple[str, str], int]:
    counts = json.loads(run("list", *arguments, "--json").output)
    return {(count["rule"], count["status"]): count["rows"] for count in counts}


def test_list_counts_by_reason_and_status(home: Path) -> None:
    """As JSON and as a table; reasons can be chosen by a part of their text."""
    assert listed() == {
        ("amount is negative", "OPEN"): 2,
        ("amount cannot be read as int", "OPEN"): 1,
        ("amount is missing", "OPEN"): 1,
    }
    assert listed("--table", "silver/contacts", "--reason", "NEGATIVE") == {
        ("amount is negative", "OPEN"): 2
    }
    assert listed("--since", "2099-01-01T00:00") == {}
    assert len(listed("--limit", "1")) == 1
    shown = run("list")
    assert shown.exit_code == 0, shown.output
    assert "amount cannot be read as int" in shown.output


def test_show_tells_all_of_a_row(home: Path) -> None:
    """Every reason, the row as received, contract and run."""
    result = run("show", "--table", "contacts", "--reason", "cannot read", "--json")
    (row,) = json.loads(result.output)
    assert row["reasons"] == ["amount: cannot read many as int", "amount is missing"]
    assert row["rules"] == ["amount cannot be read as int", "amount is missing"]
    assert row["payload"] == {"id": "3", "amount": "many", "modified_at": AT}
    assert (row["contract_version"], row["run_id"], row["status"]) == ("1.0.0", "run", "OPEN")
    text = run("show", "--table", "contacts", "--limit", "1").output
    assert text.count("reason ") >= 1
    assert text.count("OPEN") == 1


def test_replay_and_discard_close_rows(home: Path, opened: Opened) -> None:
    """Exit code 1 while rows stay open, 0 when all are closed."""
    result = run("replay", "--table", "contacts", *WHO, "--json")
    assert result.exit_code == 1, result.output
    assert json.loads(result.output) == {
        "table": "contacts",
        "chosen": 3,
        "replayed": 1,
        "refused": 2,
        "absent": 0,
        "changed_hours": [key_of(hour_at(0))],
    }
    assert listed("--status", "REPLAYED") == {("amount is negative", "REPLAYED"): 1}
    assert run("discard", "--table", "contacts", *WHO).output == "2 rows discarded\n"
    assert listed("--status", "OPEN") == {}
    again = run("replay", "--table", "contacts", *WHO)
    assert again.exit_code == 0, again.output
    assert "0 of 0 rows replayed" in again.output


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["show", "--table", "contact"], "no such Silver table. Tables: archive, "),
        (["discard", "--table", "contacts", "--person", " ", "--because", "x"], "say who decides"),
        (["replay", "--table", "contacts", "--person", "Ada"], "Missing option '--because'"),
    ],
)
def test_a_mistake_names_its_cure(home: Path, arguments: list[str], found: str) -> None:
    result = run(*arguments)
    assert result.exit_code in (1, 2)
    assert found in result.output
    assert listed("--status", "DISCARDED") == {}


def jobs(home: Path, address: str) -> dg.Definitions:
    catalog = modes_catalog(home / "catalog", rules=WIDER, version="1.1.0")
    lakehouse = LakehouseResource(
        lake_url=str(home / "lake"), catalog=str(home / "catalog"), engine_url=address
    )
    control = ControlResource(url=f"sqlite:///{home / 'control.db'}")
    return dg.Definitions.merge(
        build_quarantine_defs(catalog=catalog, pii_key=None),
        dg.Definitions(
            resources={"lakehouse": lakehouse, "control": control}, executor=platform_executor
        ),
    )


def test_the_jobs_do_the_same_and_say_it_as_metadata(
    home: Path, opened: Opened, engine_address: str
) -> None:
    """The table's op alone runs; its hour counts as materialised anew."""
    definitions = jobs(home, engine_address)
    choice: dict[str, Any] = {"person": "Ada", "because": "refunds are real"}
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("quarantine_replay").execute_in_process(
            run_config={"ops": {"replay_contacts": {"config": choice}}},
            op_selection=["replay_contacts"],
            instance=instance,
        )
        (event,) = result.asset_materializations_for_node("replay_contacts")
        assert (event.asset_key.path, event.partition) == (
            ["silver", "contacts"],
            key_of(hour_at(0)),
        )
        (output,) = result.filter_events(lambda e: e.is_successful_output)
        metadata = {n: v.value for n, v in output.step_output_data.metadata.items()}
        assert (metadata["chosen"], metadata["replayed"], metadata["refused"]) == (3, 1, 2)
        assert metadata["open: amount is negative"] == 1
        result = definitions.resolve_job_def("quarantine_discard").execute_in_process(
            run_config={
                "ops": {"discard_rows": {"config": {**choice, "table": "contacts", "reason": "n"}}}
            },
            instance=instance,
        )
        assert result.success
    assert {row.status for row in opened().refused("contacts")} == {
        RowStatus.REPLAYED,
        RowStatus.DISCARDED,
    }


def test_a_replay_shares_the_pool_of_the_tables_loads(home: Path, engine_address: str) -> None:
    """So that the two never run at once."""
    catalog = modes_catalog(home / "catalog")
    job = jobs(home, engine_address).resolve_job_def("quarantine_replay")
    for table in catalog.tables:
        silver = build_silver_asset(
            table=table,
            catalog=catalog,
            partitions_def=hourly_partitions(FIRST_HOUR),
            pii_key=None,
        )
        (asset,) = silver.assets or []
        assert isinstance(asset, dg.AssetsDefinition)
        replay = job.get_node_named(f"replay_{table.entity}").definition
        assert isinstance(replay, dg.OpDefinition)
        assert asset.op.pool
        assert replay.pool == asset.op.pool
