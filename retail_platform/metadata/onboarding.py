"""Onboarding: tables of a source become rows of its file and contracts, as one change of files.

Belongs here: what each file becomes. Which tables are meant is in ``onboarding_scope``; that the
catalog loads with the change, and how it is written, in ``onboarding_change``; what is proposed for
a table, and how a source is asked, in the modules beside this one.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import Catalog, Table, load_catalog
from retail_platform.metadata.onboarding_change import Change, Onboarding, Outcome, prove
from retail_platform.metadata.onboarding_proposal import Column, Proposal, propose
from retail_platform.metadata.onboarding_references import Parent, with_references
from retail_platform.metadata.onboarding_row import masking_of
from retail_platform.metadata.onboarding_scope import (
    Describer,
    NewSource,
    by_source,
    describer_of,
    names_of,
)
from retail_platform.metadata.onboarding_tables import SourceTable
from retail_platform.metadata.onboarding_text import (
    contract_text,
    source_text,
    with_entries,
    with_properties,
    with_rows,
)


def onboard(
    folder: Path,
    patterns: Sequence[str],
    *,
    environ: Mapping[str, str],
    key: Sequence[str] = (),
    update: bool = False,
    new_source: NewSource | None = None,
) -> Onboarding:
    """Proposes rows and contracts; writes nothing.

    Args:
        folder: The catalog's folder.
        patterns: ``source.table``, ``source.schema.table`` or with wildcards; for a new source the
            source's name may be left out.
        environ: Where the sources' addresses are.
        key: Source columns of the key, for a single table that has none.
        update: Whether tables that exist get the columns that they lack.
        new_source: The source that the tables belong to, where it has no file yet.

    Raises:
        PermanentFailure: a source or table does not exist, a kind of source is not supported, or
            the catalog would not load with the proposal. The message names the cure.
        TransientFailure: a source cannot be reached.
    """
    catalog = _present_catalog(folder)
    if new_source is not None and new_source.name in catalog.sources:
        raise PermanentFailure(f"source {new_source.name} is there already; leave --new-source out")
    texts = _source_texts(folder)
    outcomes: list[Outcome] = []
    taken = {table.entity for table in catalog.tables} | _contract_names(folder)
    changes: list[Change] = []
    for source, asked in by_source(patterns, new_source, catalog).items():
        own = [table for table in catalog.tables if table.source == source]
        describer = describer_of(source, own, new_source, environ)
        names = names_of(source, asked, describer, own)
        if key and len(names) != 1:
            raise PermanentFailure(f"--key goes with one table, not with {len(names)}")
        found = _propose(source, names, describer, own, taken, key, update=update)
        outcomes += found
        taken |= {outcome.proposal.entity for outcome in found if outcome.proposal}
        path, before = texts.get(source, (folder / "sources" / f"{source}.yaml", None))
        changes += _changes(folder, path, before, found, own, new_source)
    onboarding = Onboarding(folder=folder, outcomes=tuple(outcomes), changes=tuple(changes))
    prove(onboarding)
    return onboarding


def _present_catalog(folder: Path) -> Catalog:
    if not any((folder / "sources").glob("*.yaml")):
        return Catalog(tables=())
    return load_catalog(folder)


def _source_texts(folder: Path) -> dict[str, tuple[Path, str]]:
    texts = {}
    for path in sorted((folder / "sources").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        texts[yaml.safe_load(text)["source"]] = (path, text)
    return texts


def _contract_names(folder: Path) -> set[str]:
    return {path.stem for path in (folder / "contracts" / "silver").glob("*.yaml")}


def _propose(
    source: str,
    names: Sequence[str],
    describer: Describer,
    own: Sequence[Table],
    taken: Collection[str],
    key: Sequence[str],
    *,
    update: bool,
) -> list[Outcome]:
    by_name = {_source_name(table).lower(): table for table in own}
    wanted = [name for name in names if update or name.lower() not in by_name]
    outcomes = {
        name: _exists(source, name, by_name[name.lower()]) for name in names if name not in wanted
    }
    proposals: list[Proposal] = []
    used = set(taken)
    tables = {table.row.table for table in own}
    for described in describer.describe(wanted):
        table = by_name.get(described.name.lower())
        if table is not None:
            outcomes[described.name] = _updated(source, described, table)
            continue

        def unique(columns: Sequence[str], name: str = described.name) -> bool:
            return describer.unique(name, columns)

        try:
            proposal = propose(
                described,
                source=source,
                taken=used,
                tables=tables,
                key=key,
                is_unique_in_source=unique,
            )
        except PermanentFailure as failure:
            outcomes[described.name] = Outcome(
                source=source, table=described.name, state="left out", text=str(failure)
            )
        else:
            proposals.append(proposal)
            used.add(proposal.entity)
            tables.add(str(proposal.row["table"]))
    known = {_source_name(table): _parent(table) for table in own}
    for proposal in with_references(proposals, known):
        outcomes[proposal.table.name] = Outcome(
            source=source,
            table=proposal.table.name,
            state="new",
            text=f"{proposal.row['load']}, key {', '.join(proposal.key)}",
            proposal=proposal,
        )
    return [outcomes[name] for name in names]


def _source_name(table: Table) -> str:
    return table.row.name_in_source


def _parent(table: Table) -> Parent:
    return Parent(
        table=table.row.table,
        entity=table.entity,
        key=tuple(table.row.in_source(name) for name in table.row.key),
        parents=table.parents,
    )


def _exists(source: str, name: str, table: Table) -> Outcome:
    return Outcome(
        source=source,
        table=name,
        state="exists",
        text=f"fills {table.entity} already and is left alone; --update adds columns that it lacks",
    )


def _updated(source: str, described: SourceTable, table: Table) -> Outcome:
    """The table's new columns; never required, for rows of earlier hours do not have them."""
    spelled = {target: name for name, target in table.row.columns.items()}
    key = [spelled.get(name, name) for name in table.row.key]
    known = {spelled.get(column.name, column.name).lower() for column in table.contract.columns}
    whole = propose(
        described,
        source=source,
        taken=(),
        tables=(),
        key=[] if described.path else key,
        is_unique_in_source=lambda _: True,
    )
    names = {column.name for column in table.contract.columns}
    added: list[Column] = []
    for column in whole.columns:
        if column.source.lower() not in known:
            name = column.name
            while name in names:
                name = f"{name}_2"
            names.add(name)
            added.append(replace(column, name=name, required=False))
    if not added:
        return Outcome(
            source=source, table=described.name, state="exists", text="has no new columns"
        )
    return Outcome(
        source=source,
        table=described.name,
        state="updated",
        text=f"new columns {', '.join(column.name for column in added)}",
        proposal=replace(whole, entity=table.entity, columns=tuple(added)),
    )


def _changes(
    folder: Path,
    path: Path,
    before: str | None,
    outcomes: Sequence[Outcome],
    own: Sequence[Table],
    new_source: NewSource | None,
) -> Iterator[Change]:
    new = [o.proposal for o in outcomes if o.state == "new" and o.proposal]
    updated = [o.proposal for o in outcomes if o.state == "updated" and o.proposal]
    rows = {table.entity: table.row.table for table in own}
    after = before or ""
    if before is None and new_source is not None:
        after = source_text(
            name=new_source.name,
            kind=new_source.kind,
            variable=new_source.variable,
            timezone=new_source.timezone,
            login=new_source.login_blocks,
            settings={"dialect": new_source.dialect, "clock_query": new_source.clock_query},
        )
    for proposal in updated:
        row = rows[proposal.entity]
        renamed = {c.source: c.name for c in proposal.columns if c.source != c.name}
        personal = {c.name: masking_of(c.name) for c in proposal.columns if c.personal}
        after = with_entries(after, row, "columns", renamed)
        after = with_entries(after, row, "pii", personal)
    if new:
        after = with_rows(after, new, file=path.name)
    if (new or updated) and after != before:
        yield Change(path=path, before=before, after=after)
    contracts = folder / "contracts" / "silver"
    source = new_source.name if new_source and before is None else own[0].source
    for proposal in new:
        yield Change(
            path=contracts / f"{proposal.entity}.yaml",
            before=None,
            after=contract_text(proposal, source=source),
        )
    for proposal in updated:
        place = _contract_path(contracts, proposal.entity)
        text = place.read_text(encoding="utf-8")
        yield Change(path=place, before=text, after=with_properties(text, proposal.columns))


def _contract_path(folder: Path, entity: str) -> Path:
    return next(
        path
        for path in sorted(folder.glob("*.yaml"))
        if yaml.safe_load(path.read_text(encoding="utf-8")).get("name") == entity
    )
