"""Quarantined rows as people see them: every reason, where the row came from, and how it stands.

Read through delta-rs, without an engine. Refusing and accepting rows is in ``quarantine``, taking
them in again in ``silver/replay``.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from deltalake import DeltaTable

from retail_platform.control.decisions import Decision, QuarantineDecisions, Ruling
from retail_platform.lakehouse.places import table_location
from retail_platform.quality.quarantine_table import QUARANTINE_SCHEMA
from retail_platform.quality.reasons import rule_of


class RowStatus(StrEnum):
    """How a quarantined row stands."""

    OPEN = "OPEN"
    REPLAYED = "REPLAYED"
    DISCARDED = "DISCARDED"


@dataclass(frozen=True, kw_only=True)
class QuarantinedRow:
    """One refused row.

    Attributes:
        entity: Silver entity that refused it.
        row_hash: Hash of the row as received.
        hour: First Bronze hour that holds it, aware UTC.
        reasons: Every reason, with the values found.
        payload: The row as received, as JSON, personal columns left out.
        place: File and line; None where the source has none.
        contract_version: Contract that refused it last.
        first_seen: When it was first read.
        last_seen: When it was last read.
        run_id: Run that refused it last.
        status: How it stands.
        decision: The last decision of a person about it.
    """

    entity: str
    row_hash: str
    hour: datetime
    reasons: tuple[str, ...]
    payload: str
    place: str | None
    contract_version: str
    first_seen: datetime
    last_seen: datetime
    run_id: str
    status: RowStatus
    decision: Decision | None

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that it breaks, without its own values; each once."""
        return tuple(dict.fromkeys(rule_of(reason) for reason in self.reasons))


@dataclass(frozen=True, kw_only=True)
class RuleCount:
    """Rows of one table that break one rule; a row counts under each of its rules."""

    entity: str
    rule: str
    status: RowStatus
    rows: int
    first_seen: datetime
    last_seen: datetime


def quarantined_rows(
    lake_url: str,
    entity: str,
    decisions: QuarantineDecisions,
    *,
    reason: str | None = None,
    since: datetime | None = None,
    status: RowStatus | None = None,
) -> list[QuarantinedRow]:
    """Rows of one quarantine, the ones read last first.

    Args:
        lake_url: Root of the lake.
        entity: Silver entity.
        decisions: Decisions of the control database.
        reason: Only rows with a reason that contains this text, whatever its case.
        since: Only rows last read at or after this moment (aware).
        status: Only rows that stand so.
    """
    location = table_location(lake_url, "quarantine", entity)
    if not DeltaTable.is_deltatable(location):
        return []
    latest = decisions.latest(entity)
    stored = DeltaTable(location).to_pyarrow_table().to_pylist()
    rows = (_row(entity, values, latest.get(values["row_hash"])) for values in stored)
    wanted = [
        row
        for row in rows
        if (status is None or row.status is status)
        and (since is None or row.last_seen >= since)
        and (reason is None or any(reason.lower() in text.lower() for text in row.reasons))
    ]
    return sorted(wanted, key=lambda row: (row.last_seen, row.row_hash), reverse=True)


def open_by_rule(
    lake_url: str, entity: str, decisions: QuarantineDecisions
) -> tuple[int, dict[str, int]]:
    """Open rows of one quarantine, and by rule, the most frequent first.

    A row counts under each of its rules. Reads only what says how rows stand.
    """
    location = table_location(lake_url, "quarantine", entity)
    if not DeltaTable.is_deltatable(location) or not DeltaTable(location).count():
        return 0, {}
    names = ["row_hash", "reasons", "reason_list", "contract_version", "accepted_run"]
    latest = decisions.latest(entity)
    rows = 0
    by_rule: dict[str, int] = {}
    for batch in DeltaTable(location).to_pyarrow_table(columns=names).to_batches():
        for values in batch.to_pylist():
            if _status(values, latest.get(values["row_hash"])) is RowStatus.OPEN:
                rows += 1
                for rule in {rule_of(reason) for reason in _reasons(values)}:
                    by_rule[rule] = by_rule.get(rule, 0) + 1
    return rows, dict(sorted(by_rule.items(), key=lambda item: (-item[1], item[0])))


def counts_by_rule(rows: Iterable[QuarantinedRow]) -> list[RuleCount]:
    """Counts rows by table, rule and status: open ones first, the most frequent first."""
    groups: dict[tuple[str, str, RowStatus], list[QuarantinedRow]] = {}
    for row in rows:
        for rule in row.rules:
            groups.setdefault((row.entity, rule, row.status), []).append(row)
    counts = [
        RuleCount(
            entity=entity,
            rule=rule,
            status=status,
            rows=len(members),
            first_seen=min(member.first_seen for member in members),
            last_seen=max(member.last_seen for member in members),
        )
        for (entity, rule, status), members in groups.items()
    ]
    return sorted(counts, key=lambda c: (c.status is not RowStatus.OPEN, c.entity, -c.rows, c.rule))


def discard(
    entity: str,
    rows: Sequence[QuarantinedRow],
    decisions: QuarantineDecisions,
    *,
    person: str,
    reason: str,
) -> int:
    """Closes open rows for good: read again, they are counted but not opened again.

    Only another contract version that refuses them opens them again; one that lets them pass takes
    them in when their hour is loaded.

    Returns:
        Number of rows closed; those that were closed already are left alone.
    """
    open_rows = {row.row_hash: row.contract_version for row in rows if row.status is RowStatus.OPEN}
    decisions.record(entity, open_rows, Ruling.DISCARDED, person=person, reason=reason)
    return len(open_rows)


def _row(entity: str, values: dict[str, Any], decision: Decision | None) -> QuarantinedRow:
    shown = {
        field: values[field]
        for field in QUARANTINE_SCHEMA.names
        if field not in ("reasons", "reason_list", "accepted_run")
    }
    return QuarantinedRow(
        entity=entity,
        reasons=_reasons(values),
        status=_status(values, decision),
        decision=decision,
        **shown,
    )


def _reasons(values: dict[str, Any]) -> tuple[str, ...]:
    listed = values["reason_list"]
    return tuple(json.loads(listed)) if listed else (values["reasons"],)


def _status(values: dict[str, Any], decision: Decision | None) -> RowStatus:
    if values["accepted_run"] is not None:
        return RowStatus.REPLAYED
    discarded = (
        decision is not None
        and decision.ruling is Ruling.DISCARDED
        and decision.contract_version == values["contract_version"]
    )
    return RowStatus.DISCARDED if discarded else RowStatus.OPEN
