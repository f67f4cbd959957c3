"""The data pack: small enough, attributed, and as dirty as it came."""

from decimal import Decimal

from retail_platform.simulator import pack

EIGHT_MEGABYTES = 8 * 1024 * 1024


def test_the_pack_is_at_most_eight_megabytes_with_licences() -> None:
    files = [path for path in pack.DATA.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= EIGHT_MEGABYTES
    attribution = (pack.DATA / "ATTRIBUTION.md").read_text("utf-8")
    folders = {path.name for path in pack.DATA.iterdir() if path.is_dir()} - {"LICENSES"}
    assert all(f"`{folder}" in attribution for folder in folders)
    named = {path.name for path in (pack.DATA / "LICENSES").iterdir()}
    assert all(name in attribution for name in named)
    assert "Simulated, not data" in attribution


def test_reseller_totals_are_those_of_the_reference() -> None:
    lines = pack.reseller_order_lines()
    orders = {line["SalesOrderID"]: Decimal(repr(line["TotalDue"])) for line in lines}
    assert len(lines) == 60_919
    assert len(orders) == 3_806
    total = sum(Decimal(repr(line["LineTotal"])) for line in lines)
    assert round(total, 2) == Decimal("80487704.18")
    assert round(sum(orders.values()), 2) == Decimal("90775446.99")


def test_rows_are_as_many_as_the_reference_says() -> None:
    assert len(pack.web_order_lines()) == 28_784
    counts = {"Customer": 19_820, "EmailAddress": 19_972, "Store": 701, "ProductInventory": 1_069}
    assert {table: len(list(pack.oltp_rows(table))) for table in counts} == counts


def test_the_dirt_is_still_there() -> None:
    assert any("\ufffd" in line["EmailAddress"] for line in pack.web_order_lines())
    assert any(row["StateProvinceCode"].endswith(" ") for row in pack.oltp_rows("StateProvince"))
    text = pack.pos_day("2011-11-01") or ""
    assert ",17733.0," in text
    assert "VINTAGE HEADS AND TAILS CARD GAME ," in text
    assert pack.pos_day("2011-11-05") is None
