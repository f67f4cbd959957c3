"""Column lineage of Gold: which columns of Silver and Gold each model and each test is made of.

Read from the SQL that dbt compiles, so macros count and nobody keeps a second list. Belongs here:
compiling, and resolving columns through CTEs, unions and subqueries. Not here: what a change of a
column means (`retail_platform.metadata.contract_impact`).
"""

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlglot import MappingSchema, exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from retail_platform.failures import PermanentFailure
from retail_platform.gold.project import DBT, MANIFEST, PARTIAL_PARSE, GoldProject

DIALECT = "spark"
BUILT = ("model", "snapshot")
Column = tuple[str, str]
"""A table such as ``silver.orders`` and one of its columns."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A model or a test, and the columns that it reads.

    Attributes:
        name: ``gold.fct_sales``, or the name of a test.
        kind: ``model``, ``snapshot`` or ``test``.
        columns: Output column to the columns that its values come from; none for a test.
        rows: Columns that decide which rows there are (joins, filters, groups); for a test, all
            that it reads.
    """

    name: str
    kind: str
    columns: Mapping[str, frozenset[Column]]
    rows: frozenset[Column]


def gold_lineage(project: GoldProject, silver: Mapping[str, Iterable[str]]) -> tuple[Reader, ...]:
    """Everything that dbt builds or tests, parents before children.

    Args:
        project: The dbt project; compiled now unless these very files were compiled before.
        silver: Silver entity to its columns, technical ones included.

    Raises:
        PermanentFailure: dbt cannot compile the project, or a model's SQL cannot be resolved.
    """
    return readers(_compiled(project), silver)


def readers(manifest: Mapping[str, Any], silver: Mapping[str, Iterable[str]]) -> tuple[Reader, ...]:
    """The lineage of a compiled manifest.

    Args:
        manifest: dbt's manifest with ``compiled_code``.
        silver: Silver entity to its columns, technical ones included.
    """
    known: dict[str, list[str]] = {f"silver.{name}": list(names) for name, names in silver.items()}
    found: list[Reader] = []
    for node in _parents_first(manifest):
        reader = _reader(node, known)
        found.append(reader)
        if reader.kind in BUILT:
            known[reader.name] = list(reader.columns)
    return tuple(found)


def _compiled(project: GoldProject) -> Mapping[str, Any]:
    manifest = project.target_path / f"compiled-{project.fingerprint}" / MANIFEST
    if not manifest.exists():
        _compile(project, manifest.parent)
    return json.loads(manifest.read_bytes())


def _compile(project: GoldProject, folder: Path) -> None:
    # Imported here: pyspark and the engine cost a second, and only this needs them.
    from retail_platform.lakehouse.engine import open_engine
    from retail_platform.settings import Engine

    project.manifest_path()
    scratch = project.target_path / f"compiling-{uuid.uuid4().hex}"
    scratch.mkdir(parents=True)
    try:
        shutil.copy(project.parsed_dir / PARTIAL_PARSE, scratch / PARTIAL_PARSE)
        # An empty engine of its own: compiling asks which tables exist, and whole builds need none.
        with open_engine(Engine.EMBEDDED) as session:
            done = subprocess.run(
                [sys.executable, "-c", DBT, "compile", "--full-refresh"],
                env={
                    **project.environment(scratch),
                    "SPARK_REMOTE": session.remote_url,
                    "RETAIL_GOLD_ROOT": str(scratch / "gold"),
                    "RETAIL_STAGING": str(scratch / "staging"),
                    "RETAIL_HOUR": "",
                },
                cwd=project.project_dir,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            raise PermanentFailure(
                f"dbt cannot compile the project {project.project_dir.name} of Gold. Mend the "
                f"model that it names:\n{done.stdout[-4000:]}{done.stderr[-1000:]}"
            )
        if not folder.exists():
            scratch.replace(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _parents_first(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    nodes = {
        name: node
        for name, node in manifest["nodes"].items()
        if node["resource_type"] in (*BUILT, "test")
    }
    ordered: dict[str, Mapping[str, Any]] = {}

    def visit(name: str) -> None:
        if name in ordered or name not in nodes:
            return
        for parent in nodes[name]["depends_on"]["nodes"]:
            visit(parent)
        ordered[name] = nodes[name]

    for name in sorted(nodes):
        visit(name)
    return list(ordered.values())


def _reader(node: Mapping[str, Any], known: Mapping[str, list[str]]) -> Reader:
    kind = node["resource_type"]
    name = f"gold.{node['alias']}" if kind in BUILT else node["name"]
    try:
        scope = _scope(node["compiled_code"], known)
    except SqlglotError as error:
        raise PermanentFailure(
            f"{name} ({node['original_file_path']}): its SQL cannot be resolved into columns: "
            f"{error}. Write it in Spark SQL that names its columns."
        ) from error
    flows, rows = _Resolver().resolve(scope)
    if kind in BUILT:
        return Reader(name=name, kind=kind, columns=flows, rows=rows)
    return Reader(name=name, kind=kind, columns={}, rows=rows.union(*flows.values()))


def _scope(sql: str, known: Mapping[str, list[str]]) -> Scope:
    # Types do not matter here; the resolver only asks which names there are.
    schema = MappingSchema(dialect=DIALECT)
    for table, columns in known.items():
        schema.add_table(table, dict.fromkeys(columns, "string"))
    tree = parse_one(sql, dialect=DIALECT)
    qualified = qualify(
        tree,
        schema=schema,
        dialect=DIALECT,
        validate_qualify_columns=False,
        quote_identifiers=False,
        identify=False,
    )
    scope = build_scope(qualified)
    if scope is None:
        raise SqlglotError("it is no query")
    return scope


Flows = dict[str, frozenset[Column]]
Resolved = tuple[Flows, frozenset[Column]]


class _Resolver:
    """Follows columns through the scopes of one query; every scope once."""

    def __init__(self) -> None:
        self._done: dict[int, Resolved] = {}

    def resolve(self, scope: Scope) -> Resolved:
        if id(scope) not in self._done:
            union = isinstance(scope.expression, exp.SetOperation)
            self._done[id(scope)] = self._union(scope) if union else self._select(scope)
        return self._done[id(scope)]

    def _union(self, scope: Scope) -> Resolved:
        parts = [self.resolve(part) for part in scope.set_operation_scopes]
        names = list(parts[0][0])
        flows: Flows = {}
        for position, name in enumerate(names):
            origins = [list(part.values())[position] for part, _ in parts if len(part) > position]
            flows[name] = frozenset().union(*origins)
        return flows, frozenset().union(*(rows for _, rows in parts))

    def _select(self, scope: Scope) -> Resolved:
        select = scope.expression
        projections = list(select.selects) if isinstance(select, exp.Query) else []
        flows = {
            projection.alias_or_name: self._origins(scope, projection.find_all(exp.Column))
            for projection in projections
        }
        shown = {id(column) for one in projections for column in one.find_all(exp.Column)}
        deciding = [column for column in scope.columns if id(column) not in shown]
        rows = set(self._origins(scope, deciding))
        for inner in scope.subquery_scopes:
            inner_flows, inner_rows = self.resolve(inner)
            rows |= inner_rows.union(*inner_flows.values())
        for source in self._sources(scope):
            if isinstance(source, Scope):
                rows |= self.resolve(source)[1]
            elif isinstance(source, exp.Table):
                rows.add((_table_name(source), "*"))
        return flows, frozenset(rows)

    def _sources(self, scope: Scope) -> list[exp.Expr | Scope]:
        return [source for _, source in scope.selected_sources.values()]

    def _origins(self, scope: Scope, columns: Iterable[exp.Column]) -> frozenset[Column]:
        origins: set[Column] = set()
        for column in columns:
            source = scope.sources.get(column.table)
            if isinstance(source, exp.Table):
                origins.add((_table_name(source), column.name))
            elif isinstance(source, Scope):
                origins |= self.resolve(source)[0].get(column.name, frozenset())
        return frozenset(origins)


def _table_name(table: exp.Table) -> str:
    return f"{table.db}.{table.name}" if table.db else table.name
