"""The restricted table of clear values: it holds what is in force, and nothing else holds it."""

from pathlib import Path

import dagster as dg
import pytest

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform.silver.masking import masking_key, normalised
from retail_platform_tests.platform.box import Box, Row, open_box
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.dagster_runs import location
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import ArrowReader, Database

COLUMNS = {"id": "bigint", "email": "string", "phone": "string", "modified_at": "timestamp"}
NAMES = list(COLUMNS)
PII = {
    "email": {"method": "hash", "kind": "email", "keep_clear": True},
    "phone": {"method": "hash", "kind": "phone", "keep_clear": True},
}
LOADS = {
    "people": ("incremental", "upsert"),
    "members": ("incremental", "scd2"),
    "guests": ("full", "upsert"),
    "staff": ("snapshot", "scd2"),
}
AT = [f"2026-01-05 {hour}:10:00" for hour in (12, 13, 14, 15)]
PLANTED = "Planted.Mail@Example.org"


def catalog_folder(folder: Path, *, short: int = 5) -> Path:
    """Tables of every merge; a row with too short a phone is refused."""
    tables = [
        {
            "table": name,
            "load": load,
            "key": ["id"],
            "watermark": {"column": "modified_at"},
            "silver": {"entity": name, "merge": merge, "max_shrink": 1},
            "pii": PII,
        }
        for name, (load, merge) in LOADS.items()
    ]
    rules = {"phone is too short": f"phone is null or length(phone) >= {short}"}
    contracts = [
        contract(name, COLUMNS, ["id"], rules=rules, max_quarantined=100) for name in LOADS
    ]
    return write_catalog(folder, [sql_source("box", tables)], contracts)


def people(folder: Path, *, short: int = 5) -> Catalog:
    return load_catalog(catalog_folder(folder, short=short))


def row(key: str, email: str | None, at: str, phone: str | None = "12345") -> Row:
    return {"id": key, "email": email, "phone": phone, "modified_at": at}


def bronze(box: Box, entity: str, number: int, *rows: Row) -> None:
    box.bronze_from(entity, number, ArrowReader.at(number, rows, NAMES))


def load(box: Box, entity: str, number: int, *rows: Row) -> None:
    bronze(box, entity, number, *rows)
    box.silver(entity, number)


def emails(box: Box, entity: str) -> dict[int, str | None]:
    return {row["id"]: row["email"] for row in box.clear(entity)}


def agrees(box: Box, entity: str) -> bool:
    """Whether the restricted table has the masks and the meta columns of the rows in force."""
    names = ("_watermark", "_row_hash")
    live = {
        row["id"]: (row["email"], row["phone"], *(row[name] for name in names))
        for row in box.stored_silver(entity)
        if not row["_deleted"] and row.get("is_current", True)
    }
    return live == {
        row["id"]: (row["email_masked"], row["phone_masked"], *(row[name] for name in names))
        for row in box.clear(entity)
    }


@pytest.mark.parametrize("entity", LOADS)
def test_it_follows_the_rows_in_force_in_any_order(
    new_box: Opener, tmp_path: Path, entity: str
) -> None:
    """Normal forms, newest values, and no row for a key that is not there any more."""
    box = new_box(people(tmp_path / "catalog"))
    first = row("1", " A@X.org", AT[0]), row("2", "b@x.org", AT[0], "00 44 (20) 7946")
    bronze(box, entity, 0, *first)
    bronze(box, entity, 1, row("1", "NEW@x.org", AT[1]), first[1], row("3", None, AT[1], None))
    bronze(box, entity, 2, row("1", "new@x.org", AT[2]))
    for number in (0, 2, 1, 0):
        box.silver(entity, number)
        assert agrees(box, entity)
    whole = LOADS[entity][0] in ("full", "snapshot")
    assert emails(box, entity) == (
        {1: "new@x.org"} if whole else {1: "new@x.org", 2: "b@x.org", 3: None}
    )
    if not whole:
        phones = {row["id"]: row["phone"] for row in box.clear(entity)}
        assert phones == {1: "12345", 2: "+44207946", 3: None}


@pytest.mark.parametrize("entity", ["guests", "staff"])
def test_a_tombstone_purges_and_a_return_brings_back(
    new_box: Opener, tmp_path: Path, entity: str
) -> None:
    box = new_box(people(tmp_path / "catalog"))
    stays = row("9", "stays@x.org", AT[0])
    load(box, entity, 0, stays, row("1", "a@x.org", AT[0]))
    load(box, entity, 1, stays)
    assert emails(box, entity) == {9: "stays@x.org"}
    load(box, entity, 2, stays, row("1", "back@x.org", AT[2]))
    assert emails(box, entity) == {9: "stays@x.org", 1: "back@x.org"}
    assert agrees(box, entity)


@pytest.mark.parametrize("entity", ["people", "staff"])
def test_a_load_killed_before_it_is_mended_by_the_next(
    engine_address: str, tmp_path: Path, entity: str
) -> None:
    """Silver is committed, the restricted table is not: the hour is loaded again, both agree."""
    catalog = people(tmp_path / "catalog")
    with open_box(tmp_path / "box", catalog, engine_address) as box:
        stays = row("9", "stays@x.org", AT[0])
        load(box, entity, 0, stays, row("1", "a@x.org", AT[0]), row("2", "gone@x.org", AT[0]))
        bronze(box, entity, 1, stays, row("1", "new@x.org", AT[1]))
        merge = box.lake.merge

        def killed(layer: str, *arguments: object, **named: object) -> object:
            if layer == "pii":
                raise KeyboardInterrupt
            return merge(layer, *arguments, **named)  # type: ignore[arg-type]

        box.lake.merge = killed  # type: ignore[method-assign, assignment]
        with pytest.raises(KeyboardInterrupt):
            box.silver(entity, 1)
    with open_box(tmp_path / "box", catalog, engine_address) as box:
        assert emails(box, entity)[1] == "a@x.org"
        box.silver(entity, 1)
        assert emails(box, entity)[1] == "new@x.org"
        assert agrees(box, entity)


def test_a_replayed_row_keeps_its_clear_values_too(engine_address: str, tmp_path: Path) -> None:
    """Refused, its values are nowhere; taken in, they are in the restricted table."""
    with open_box(tmp_path / "box", people(tmp_path / "a"), engine_address) as box:
        load(box, "people", 0, row("1", PLANTED, AT[0], "112"), row("2", "b@x.org", AT[0]))
        assert emails(box, "people") == {2: "b@x.org"}
        assert PLANTED.lower() not in str(box.refused("people")).lower()
    with open_box(tmp_path / "box", people(tmp_path / "b", short=3), engine_address) as box:
        assert box.replay("people").replayed == 1
        assert emails(box, "people") == {1: PLANTED.lower(), 2: "b@x.org"}
        assert agrees(box, "people")


def test_a_clear_value_is_in_no_other_file_of_a_run(
    tmp_path: Path, engine_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lake, control database and Dagster's own event log, searched byte by byte.

    One planted row is good, one is refused; the lake's files are searched uncompressed too.
    """
    source = Database(tmp_path / "box.db")
    for name in LOADS:
        source.create(name, "id TEXT, email TEXT, phone TEXT, modified_at TEXT")
        source.insert(name, ("1", PLANTED, "12345678", AT[0]), ("2", PLANTED, "1", AT[0]))
    source.set_clock(0)
    monkeypatch.setenv("BOX_URL", source.url)
    home = tmp_path / "home"
    folder = catalog_folder(tmp_path / "catalog")
    events = tmp_path / "events"
    events.mkdir()
    with location(folder, home, engine_address) as place:
        result = place.run(0)
        assert result.success
        log = "\n".join(str(dg.serialize_value(event)) for event in result.all_events)
        log += "\n".join(str(entry) for entry in place.instance.all_logs(result.run_id))
    assert PLANTED.lower() not in log.lower()
    with open_box(home, load_catalog(folder), engine_address) as box:
        assert emails(box, "people") == {1: PLANTED.lower()}
        assert len(box.refused("people")) == 1
        for name in LOADS:
            shown = f"{box.stored_silver(name)}{box.quarantined(name)}"
            assert PLANTED.lower() not in shown.lower()
        assert box.lake.tables("pii") == sorted(f"{name}__pii" for name in LOADS)
        with pytest.raises(Exception, match=r"(?i)not found|no such|pii"):
            box.lake.spark.sql("select * from pii.people__pii").collect()
    allowed = (home / "lake" / "bronze", home / "lake" / "pii")
    searched = [
        path
        for path in home.rglob("*")
        if path.is_file() and not any(path.is_relative_to(folder) for folder in allowed)
    ]
    assert len(searched) > len(LOADS)
    for spelling in (PLANTED, PLANTED.lower()):
        assert [p for p in searched if spelling.encode() in p.read_bytes()] == []


@pytest.mark.parametrize(
    ("kind", "received", "expected"),
    [
        ("email", "  Zoe@Example.ORG ", "zoe@example.org"),
        ("email", "  ", None),
        ("phone", "+1 (555) 010-0", "+15550100"),
        ("phone", " 0049 30 / 12", "+493012"),
        ("phone", "1 (11) 500 555-0162", "1115005550162"),
        ("phone", "n/a", None),
        ("phone", "+", None),
        ("text", "  Zoë \t O'HARA\n", "zoë o'hara"),
        ("text", None, None),
    ],
)
def test_normal_forms(
    new_box: Opener, tmp_path: Path, kind: str, received: str | None, expected: str | None
) -> None:
    spark = new_box(Catalog(tables=())).lake.spark
    frame = spark.createDataFrame([(received,)], "value string")
    assert frame.selectExpr(f"{normalised('value', kind)} as value").collect()[0][0] == expected


def test_a_setting_that_names_no_secret_is_refused() -> None:
    """The setting is checked first; a key that is no URL is the key."""
    assert masking_key("a key") == "a key"
    assert masking_key(None) is None
    with pytest.raises(PermanentFailure, match=r"expected keyvault://<vault>/<secret>"):
        masking_key("keyvault://only-the-vault")
