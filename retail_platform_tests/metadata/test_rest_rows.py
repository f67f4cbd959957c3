"""Rows of REST tables and of nested records: what a child takes over, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform_tests.platform.rest_catalogs import desk, desk_catalog

Change = Callable[[dict[str, Any]], object]


def changed(folder: Path, change: Change) -> Catalog:
    """The catalog of the ticket API with a change to its source."""
    path = desk_catalog(folder) / "sources" / "desk.yaml"
    source = yaml.safe_load(path.read_text())
    change(source)
    path.write_text(yaml.safe_dump(source, sort_keys=False))
    return load_catalog(folder)


def test_a_child_is_asked_as_its_parent_is_and_the_parent_leaves_it_the_list(
    tmp_path: Path,
) -> None:
    tables = desk(tmp_path).by_entity
    parent, child = tables["tickets"].row, tables["comments"].row
    assert (child.rest, child.load) == (parent.rest, parent.load)
    assert parent.lists == ("comments",)
    assert child.lists == ()


def test_a_list_inside_of_a_list_is_left_to_its_own_table(tmp_path: Path) -> None:
    def attach(source: dict[str, Any]) -> None:
        deeper = {**source["tables"][1], "table": "files", "elements": "comments.files"}
        deeper["silver"] = {"entity": "files", "merge": "upsert"}
        source["tables"].append(deeper)

    folder = desk_catalog(tmp_path)
    contract = folder / "contracts" / "silver" / "comments.yaml"
    twin = contract.read_text().replace("name: comments", "name: files")
    contract.with_name("files.yaml").write_text(twin.replace("silver-comments", "silver-files"))
    path = folder / "sources" / "desk.yaml"
    source = yaml.safe_load(path.read_text())
    attach(source)
    path.write_text(yaml.safe_dump(source, sort_keys=False))
    tables = load_catalog(folder).by_entity
    assert tables["comments"].row.lists == ("files",)
    assert set(tables["tickets"].row.lists) == {"comments", "comments.files"}


def _rest(source: dict[str, Any]) -> dict[str, Any]:
    return source["tables"][0]["rest"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s["tables"][1].update(child_of="nothing"), "child_of names 'nothing'"),
        (lambda s: s["tables"][1].pop("elements"), "child_of needs elements"),
        (lambda s: _rest(s).pop("since"), "needs rest: {since: {member: ...}}"),
        (lambda s: (s["tables"].pop(), s["tables"][0].pop("rest")), "rest goes with connection"),
        (lambda s: s["tables"][0].update(load="restated"), "rest goes with load: incremental"),
        (lambda s: _rest(s)["since"].pop("parameter"), "until goes with parameter"),
        (lambda s: _rest(s)["since"].update(format="%H:%M"), "tells no day"),
        (lambda s: _rest(s).update(records="a..b"), "is no path of members"),
        (lambda s: _rest(s).update(paging={"by": "magic"}), "rest.paging"),
    ],
    ids=range(9),
)
def test_rows_that_cannot_be_read_are_refused_at_load(
    tmp_path: Path, change: Change, told: str
) -> None:
    with pytest.raises(PermanentFailure, match=r"desk\.yaml") as failure:
        changed(tmp_path, change)
    assert told in str(failure.value)
