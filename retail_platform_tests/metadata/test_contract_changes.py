"""What counts as breaking, measured by a consumer's view; each row of the table once."""

from collections.abc import Callable
from copy import deepcopy

import pytest

from retail_platform.metadata.contract import Contract
from retail_platform.metadata.contract_change import Level
from retail_platform.metadata.contract_changes import compare, required_level
from retail_platform_tests.platform.catalogs import Tree, contract

Edit = Callable[[Tree], object]
COLUMNS = {
    "id": "bigint",
    "status": "string",
    "amount": "decimal(19,4)",
    "units": "int",
    "email": "string",
    "modified_at": "timestamp",
}


def released() -> Tree:
    tree = contract("orders", COLUMNS, ["id"], required=["status"], rules={"paid": "amount >= 0"})
    values = {"metric": "invalidValues", "arguments": {"validValues": ["open", "shut"]}}
    column(tree, "status")["quality"] = [values]
    column(tree, "amount")["customProperties"] = [{"property": "unit", "value": "USD"}]
    column(tree, "email").update(classification="restricted", unique=True)
    column(tree, "units")["relationships"] = [{"to": "packs.units"}]
    tree["slaProperties"] = [
        {"property": "latency", "value": 2, "unit": "h"},
        {"property": "availability", "value": 99.5, "unit": "percent"},
    ]
    tree["team"] = {"name": "sales"}
    return tree


def column(tree: Tree, name: str) -> Tree:
    return next(one for one in tree["schema"][0]["properties"] if one["name"] == name)


def put(named: str, /, **fields: object) -> Edit:
    return lambda tree: column(tree, named).update(fields)


def drop(tree: Tree) -> None:
    tree["schema"][0]["properties"] = [
        one for one in tree["schema"][0]["properties"] if one["name"] != "units"
    ]


def add(tree: Tree) -> None:
    tree["schema"][0]["properties"].append(
        {"name": "note", "logicalType": "string", "physicalType": "string"}
    )


def values(*names: str) -> Edit:
    def edit(tree: Tree) -> None:
        column(tree, "status")["quality"][0]["arguments"]["validValues"] = list(names)

    return edit


def unit(name: str, value: str) -> Edit:
    return put(name, customProperties=[{"property": "unit", "value": value}])


def promise(position: int, **fields: object) -> Edit:
    return lambda tree: tree["slaProperties"][position].update(fields)


def other_key(tree: Tree) -> None:
    column(tree, "status").update(primaryKey=True, primaryKeyPosition=2)


def reorder(tree: Tree) -> None:
    tree["schema"][0]["properties"].reverse()


CASES: list[tuple[str, Edit, Level, str]] = [
    ("renamed", put("status", name="order_status"), Level.MAJOR, "status renamed to order_status"),
    ("removed", drop, Level.MAJOR, "column units removed"),
    ("added", add, Level.MINOR, "column note (string) added"),
    ("narrowed", put("amount", physicalType="decimal(19,2)"), Level.MAJOR, "changed to decimal"),
    ("shorter", put("amount", physicalType="decimal(10,4)"), Level.MAJOR, "changed to decimal"),
    ("widened", put("amount", physicalType="decimal(24,6)"), Level.MINOR, "widened to decimal"),
    ("wider int", put("units", physicalType="bigint"), Level.MINOR, "widened to bigint"),
    ("int to text", put("units", physicalType="string"), Level.MAJOR, "changed to string"),
    ("int to few digits", put("units", physicalType="decimal(9,2)"), Level.MAJOR, "changed to"),
    ("logical type", put("email", logicalType="date"), Level.MAJOR, "logical type string changed"),
    ("other unit", unit("amount", "EUR"), Level.MAJOR, "unit USD changed to EUR"),
    ("unit gone", put("amount", customProperties=[]), Level.MAJOR, "unit USD changed to not"),
    ("unit stated", unit("units", "pieces"), Level.MINOR, "unit not stated changed to pieces"),
    (
        "time zone",
        put("modified_at", logicalTypeOptions={"defaultTimezone": "Europe/London"}),
        Level.MAJOR,
        "time zone UTC changed to Europe/London",
    ),
    ("key", other_key, Level.MAJOR, "key ['id'] changed to ['id', 'status']"),
    ("may be NULL", put("status", required=False), Level.MAJOR, "status: no longer required"),
    ("required", put("units", required=True), Level.MINOR, "units: now required"),
    ("may repeat", put("email", unique=False), Level.MAJOR, "email: no longer unique"),
    ("unique", put("status", unique=True), Level.MINOR, "status: now unique"),
    ("no reference", put("units", relationships=[]), Level.MAJOR, "no longer refers to packs"),
    ("reference", put("id", relationships=[{"to": "a.b"}]), Level.MINOR, "now refers to a.b"),
    ("fewer values", values("open"), Level.MAJOR, "valid values shut removed"),
    ("more values", values("open", "shut", "lost"), Level.MINOR, "valid values lost added"),
    ("any value", put("status", quality=[]), Level.MAJOR, "no longer checked"),
    ("less guarded", put("email", classification="internal"), Level.MAJOR, "lowered to internal"),
    ("not guarded", put("email", classification=None), Level.MAJOR, "lowered to not stated"),
    ("more guarded", put("status", classification="internal"), Level.MINOR, "raised to internal"),
    (
        "other rule",
        lambda tree: tree["schema"][0]["quality"][0].update(implementation="amount > 0"),
        Level.MINOR,
        "rule 'paid' changed",
    ),
    ("later", promise(0, value=4), Level.MAJOR, "latency: 2 h weakened to 4 h"),
    ("later in minutes", promise(0, value=180, unit="m"), Level.MAJOR, "weakened to 180 m"),
    ("earlier", promise(0, value=1), Level.MINOR, "latency: 2 h changed to 1 h"),
    ("down more often", promise(1, value=99), Level.MAJOR, "availability: 99.5 percent weakened"),
    ("no promise", lambda t: t["slaProperties"].pop(0), Level.MAJOR, "weakened to none"),
    ("deprecated", lambda t: t.update(status="deprecated"), Level.MINOR, "to deprecated"),
    ("retired", lambda t: t.update(status="retired"), Level.MAJOR, "status active changed to"),
    ("text", put("status", description="New words"), Level.PATCH, "status: texts changed"),
    ("team", lambda t: t.update(team={"name": "shop"}), Level.PATCH, "team changed"),
    ("order", reorder, Level.PATCH, "order of columns"),
]


@pytest.mark.parametrize(
    ("edit", "level", "text"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_change_has_its_level(edit: Edit, level: Level, text: str) -> None:
    """One edit, one level, and a counter-offer for what breaks (a retirement has none)."""
    before = released()
    after = deepcopy(before)
    edit(after)
    changes = compare(Contract.model_validate(before), Contract.model_validate(after))
    assert required_level(changes) is level
    assert text in changes[0].text
    worst = [change for change in changes if change.level is level]
    assert len(worst) == 1, [change.text for change in worst]
    if level is Level.MAJOR and worst[0].field != "status":
        assert worst[0].counter_offer


def test_the_same_contract_has_no_changes() -> None:
    """A version number alone is no change."""
    after = released() | {"version": "1.1.0"}
    assert compare(Contract.model_validate(released()), Contract.model_validate(after)) == []


@pytest.mark.parametrize(
    ("before", "after", "level"),
    [
        (None, "2027-03-31", Level.MINOR),
        ("2027-03-31", "2027-06-30", Level.MINOR),
        ("2027-03-31", None, Level.MINOR),
        ("2027-03-31", "2027-01-31", Level.MAJOR),
    ],
    ids=["set", "put off", "taken back", "nearer"],
)
def test_an_end_of_support_may_only_move_away(
    before: str | None, after: str | None, level: Level
) -> None:
    """Readers plan by it: they may get more time than they were told, and not less."""

    def ending(day: str | None) -> Contract:
        tree = released()
        tree["slaProperties"] += [{"property": "endOfSupport", "value": day}] if day else []
        return Contract.model_validate(tree)

    assert required_level(compare(ending(before), ending(after))) is level
