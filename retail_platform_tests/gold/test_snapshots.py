"""What only the platform knows: which segment a customer was in, as builds saw it."""

from itertools import groupby
from pathlib import Path

from retail_platform_tests.gold.scenario import BATCHES, HOURS, customer, line, order
from retail_platform_tests.gold.silver_lake import NewLake, utc
from retail_platform_tests.gold.silver_model import SilverModel

SELECTED = (
    *("--select", "+snap_customer_segment", "--indirect-selection", "cautious"),
    *("--exclude", "test_type:unit", "tag:daily"),
)
YEAR_LATER = utc("2027-06-01T10:00:00")


def test_segments_are_kept_as_they_changed(new_lake: NewLake) -> None:
    """A row for each change that a build saw; none where nothing changed; an end for who left."""
    silver = SilverModel()
    seen: dict[str, list[str | None]] = {}
    later = {
        "customers": [customer(3, 1, YEAR_LATER)],
        "orders": [
            order(200, "09:00:00", "09:00:00", customer_id=3, ordered_at=YEAR_LATER),
        ],
        "order_lines": [line(200, 1, 10, 1, "09:00:00")],
    }
    with new_lake() as lake:
        for hour, batch in [*zip(HOURS, BATCHES, strict=True), (YEAR_LATER, later)]:
            silver.process(hour, batch)
            silver.write_to(lake)
            lake.dbt("build", *SELECTED, hours=[hour])
            now = {r["customer_key"]: r["segment"] for r in lake.gold("mart_customer_segment")}
            for key in seen.keys() | now.keys():
                seen.setdefault(key, []).append(now.get(key))
        before = len(lake.gold("snap_customer_segment"))
        lake.dbt("build", *SELECTED, hours=[YEAR_LATER])
        rows = lake.gold("snap_customer_segment")
        merged = next((lake.dbt_process.target / "run").rglob("snap_customer_segment*"))
        statement = "".join(path.read_text("utf-8") for path in _files(merged))
    assert len(rows) == before
    assert "using gold.__snapshot_snap_customer_segment" in " ".join(statement.split())
    expected = sorted(
        (key, segment)
        for key, segments in seen.items()
        for segment, _ in groupby(segments)
        if segment is not None
    )
    assert sorted((row["customer_key"], row["segment"]) for row in rows) == expected
    current = {row["customer_key"]: row["segment"] for row in rows if row["dbt_valid_to"] is None}
    assert current == {key: segments[-1] for key, segments in seen.items() if segments[-1]}
    assert len(expected) > len(seen), "no customer changed: the scenario proves nothing"
    assert len(current) < len(seen), "no customer left: the scenario proves nothing"


def _files(found: Path) -> list[Path]:
    return [path for path in found.rglob("*") if path.is_file()] if found.is_dir() else [found]
