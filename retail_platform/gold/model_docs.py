"""Gold's public models as pages for people, beside those of Silver's contracts.

Everything is read from dbt's manifest: words, owners, types and tests are written once, in the
models' YAML. Pure: manifest and lineage in, HTML out. Not here: what a model promises
(`public_models`), who reads it (`lineage`), and where the files go.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from retail_platform.gold.lineage import Column
from retail_platform.gold.public_models import PublicModel
from retail_platform.metadata.contract_docs import Lineage
from retail_platform.metadata.contract_html import facts, flow, page, releases, table, tags


class ModelDocs:
    """The pages of a project's public models.

    Args:
        manifest: dbt's manifest.
    """

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self._nodes: Mapping[str, Any] = {**manifest["nodes"], **manifest["sources"]}
        self._tests: dict[str, list[Mapping[str, Any]]] = {}
        for node in manifest["nodes"].values():
            if node["resource_type"] == "test" and node.get("attached_node"):
                self._tests.setdefault(node["attached_node"], []).append(node)

    def table_of(self, model: PublicModel) -> str:
        """The table of a model's version, such as ``gold.mart_sales_kpi_v1``."""
        return _table_name(self._nodes[model.unique_id])

    def index(self, models: Sequence[tuple[PublicModel, str]]) -> str:
        """The list of models, as a part of the index page.

        Args:
            models: Each with the number of its contract as it is now.
        """
        rows = []
        for model, number in models:
            node = self._nodes[model.unique_id]
            name = self.table_of(model)
            rows.append(
                (
                    f'<a href="{name}.html">{escape(name.removeprefix("gold."))}</a>',
                    escape(node["description"]),
                    escape(_owners(node)),
                    f"{number} {tags([_status(model)])}",
                )
            )
        lead = f"{len(rows)} tables of Gold that are read outside of dbt: what they promise."
        heads = ("Table", "What it is", "Owner", "Version")
        return f"<p class='lead'>{lead}</p>{table(heads, rows)}"

    def page(
        self,
        model: PublicModel,
        number: str,
        *,
        made_of: Mapping[str, Sequence[Column]],
        lineage: Lineage,
        versions: Sequence[str],
    ) -> str:
        """The page of one version of a model.

        Args:
            model: The version.
            number: Number of its contract as it is now.
            made_of: Column to the columns that its values come from.
            lineage: Who reads it; its own tests, which have a place of their own, may be there.
            versions: Numbers under which it was released, oldest first.
        """
        node = self._nodes[model.unique_id]
        notice = model.version.notice
        name = self.table_of(model)
        above = sorted(
            {
                _table_name(self._nodes[parent])
                for parent in node["depends_on"]["nodes"]
                if parent in self._nodes
            }
        )
        own = {f"{test['name']} (test)" for test in self._tests.get(model.unique_id, ())}
        keys = [one["name"] for one in model.properties if one.get("primaryKey")]
        body = [
            "<p><a href='index.html'>All contracts</a></p>",
            f"<p class='lead'>{escape(node['description'])}</p>",
            f"<p><b>{escape(notice)}</b></p>" if notice else "",
            facts(
                {
                    "Version": f"{number}, {_status(model)}",
                    "Owner": _owners(node),
                    "Arrives": "with the hour",
                    "Key": ", ".join(keys) or "none",
                    "Table": name,
                    "Written in": node["original_file_path"],
                }
            ),
            "<h2>Columns</h2>",
            self._columns(model, made_of, lineage),
            "<h2>Tests</h2>",
            table(("Test", "Expected", "Otherwise"), list(self._rules(model))),
            "<h2>Lineage</h2>",
            flow(above, name, [reader for reader in lineage.readers if reader not in own]),
            "<h2>Versions</h2>",
            releases(versions, number),
        ]
        return page(name, "".join(body))

    def _columns(
        self, model: PublicModel, made_of: Mapping[str, Sequence[Column]], lineage: Lineage
    ) -> str:
        words = self._nodes[model.unique_id]["columns"]
        rows = [
            (
                f"<code>{escape(one['name'])}</code>",
                escape(one["physicalType"]),
                escape(words[one["name"]]["description"]),
                tags(_promises(one)),
                _lines(f"{above}.{column}" for above, column in made_of.get(one["name"], ())),
                _lines(lineage.columns.get(one["name"], ())),
            )
            for one in model.properties
        ]
        return table(("Column", "Type", "Meaning", "Promises", "Made of", "Becomes"), rows)

    def _rules(self, model: PublicModel) -> Iterator[tuple[str, str, str]]:
        for test in sorted(self._tests.get(model.unique_id, ()), key=lambda one: one["name"]):
            told = test["test_metadata"]
            arguments = {
                name: value
                for name, value in told["kwargs"].items()
                if name not in ("model", "column_name")
            }
            expected = [*([test["column_name"]] if test["column_name"] else [])]
            expected += [f"{name}: {_plain(value)}" for name, value in arguments.items()]
            blocks = test["config"]["severity"].lower() == "error"
            yield (
                escape(told["name"]),
                f"<code>{escape('; '.join(expected))}</code>" if expected else "",
                "the check fails" if blocks else "the check warns",
            )


def _table_name(node: Mapping[str, Any]) -> str:
    if node["resource_type"] == "source":
        return f"{node['schema']}.{node['identifier']}"
    return f"gold.{node['alias']}"


def _owners(node: Mapping[str, Any]) -> str:
    owners = node["config"].get("meta", {}).get("dagster", {}).get("owners", [])
    return ", ".join(owners) or "nobody"


def _status(model: PublicModel) -> str:
    if model.version.is_prerelease:
        return "pre-release"
    return "deprecated" if model.version.deprecated else "active"


def _promises(one: Mapping[str, Any]) -> list[str]:
    found = ["key"] if one.get("primaryKey") else []
    for rule in one.get("quality", ()):
        found += [f"one of {_plain(rule['arguments']['validValues'])}"]
    return found


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def _lines(names: Iterator[str] | Sequence[str]) -> str:
    return "<br>".join(escape(name) for name in names)
