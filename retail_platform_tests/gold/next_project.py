"""A copy of the dbt project in which a mart has a second version, as `docs/model-versions.md` says.

`mart_sales_by_region_category` calls its column `category` `product_category` from version 2 on.
Version 1 is kept until its deprecation date for `mart_sales_kpi`, which has not moved yet. Not
here: the tests, and other changes of a project.
"""

import shutil
from pathlib import Path

from retail_platform.gold.by_hand import PROJECT

MART = "mart_sales_by_region_category"
DEPRECATED = "2099-12-31"
OLD, NEW = "category", "product_category"


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Replaces texts of a file, each of which must be there exactly once."""
    text = path.read_text("utf-8")
    for old, new in changes:
        assert text.count(old) == 1, (path.name, old, text.count(old))
        text = text.replace(old, new)
    path.write_text(text, "utf-8")


def project_copy(folder: Path) -> Path:
    """The dbt project as it is, to be changed."""
    return Path(shutil.copytree(PROJECT, folder / "project"))


def add_version(project: Path) -> None:
    """Makes version 2 of the mart, and keeps version 1 for those who read it."""
    marts = project / "models" / "marts"
    shutil.copy(marts / f"{MART}.sql", marts / f"{MART}_v1.sql")
    edit(marts / f"{MART}.sql", (f"  {OLD},\n  channel,", f"  {OLD} as {NEW},\n  channel,"))
    edit(marts / "mart_sales_kpi.sql", (f"ref('{MART}')", f"ref('{MART}', v=1)"))
    edit(
        marts / "unit_tests.yml",
        (f"input: ref('{MART}')", f"input: ref('{MART}', v=1)"),
        (f"    model: {MART}\n", f"    model: {MART}\n    versions: {{include: [1]}}\n"),
    )
    head, _, rest = (marts / "marts.yml").read_text("utf-8").partition(f"  - name: {MART}\n")
    own, mark, others = rest.partition("  - name: mart_sales_vs_spend\n")
    old_column = next(part for part in own.split("      - name: ") if part.startswith(f"{OLD}\n"))
    versions = (
        "latest_version: 2\n"
        "    versions:\n"
        "      - v: 2\n"
        f"      - v: 1\n"
        f"        deprecation_date: {DEPRECATED}\n"
        "        columns:\n"
        f"          - {{include: all, exclude: [{NEW}]}}\n"
        f"          - {{name: {OLD}, data_type: string, description: Category of the product.}}\n"
    )
    assert own.count("latest_version: 1\n    versions: [{v: 1}]\n") == 1
    own = own.replace("latest_version: 1\n    versions: [{v: 1}]\n", versions)
    own = own.replace(old_column, old_column.replace(OLD, NEW, 1))
    (marts / "marts.yml").write_text(f"{head}  - name: {MART}\n{own}{mark}{others}", "utf-8")


def add_reader(project: Path) -> None:
    """A model that reads the mart without naming a version."""
    folder = project / "models" / "dimensions"
    (folder / "dim_category.sql").write_text(
        f"{{{{ config(unique_key='{NEW}', access='protected') }}}}\n"
        f"select {NEW}, max(_hour) as _hour from {{{{ ref('{MART}') }}}} group by {NEW}\n",
        "utf-8",
    )
    (folder / "dim_category.yml").write_text(
        "models:\n  - name: dim_category\n    description: Categories.\n    columns:\n"
        f"      - {{name: {NEW}, data_type: string}}\n"
        "      - {name: _hour, data_type: timestamp}\n",
        "utf-8",
    )
