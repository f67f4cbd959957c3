"""Approving a held hour: one function for the command and for the job in the UI."""

from datetime import datetime

import dagster as dg

from retail_platform.control.approvals import Approval, Approvals
from retail_platform.control.resource import ControlResource
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import Catalog
from retail_platform.partitions import hour_of, key_of
from retail_platform.quality.batch_rules import asset_checks
from retail_platform.quality.verdicts import REFERENCES, ROW_RULES
from retail_platform.steps import dagster_failures

APPROVE = "approve"


def approve(
    catalog: Catalog,
    approvals: Approvals,
    *,
    asset: str,
    hour: datetime,
    rule: str,
    reason: str,
    person: str,
) -> Approval:
    """Lets the next load of a held hour through one rule.

    Args:
        catalog: All tables.
        approvals: Where it is kept.
        asset: ``silver/<entity>``, or the entity alone.
        hour: Hour that was held, aware UTC.
        rule: Check that held it.
        reason: Why the batch is right.
        person: Who says so.

    Raises:
        PermanentFailure: there is no such table or rule, or reason or person is empty.
    """
    entity = asset.removeprefix("silver/")
    table = catalog.by_entity.get(entity)
    if table is None:
        raise PermanentFailure(
            f"approve {asset}: no such Silver table. Tables: "
            f"{', '.join(f'silver/{name}' for name in sorted(catalog.by_entity))}."
        )
    rules = [name for name in asset_checks(table) if name not in (ROW_RULES, REFERENCES)]
    if rule not in rules:
        raise PermanentFailure(
            f"approve silver/{entity}, hour {key_of(hour)}: no rule {rule!r} holds this table "
            f"back. Rules: {', '.join(rules)}."
        )
    return approvals.approve(
        asset=f"silver/{entity}", hour=hour, rule=rule, reason=reason, person=person
    )


class ApproveConfig(dg.Config):
    """What the job asks for.

    Attributes:
        asset: ``silver/<entity>``.
        hour: Partition key of the held hour.
        rule: Check that held it.
        reason: Why the batch is right.
        person: Who says so.
    """

    asset: str
    hour: str
    rule: str
    reason: str
    person: str


def build_approve_job(catalog: Catalog) -> dg.JobDefinition:
    """The job that approves; materialise the hour afterwards."""

    @dg.op(name="approve_hour", description="Records the approval in the control database.")
    def _approve_hour(
        context: dg.OpExecutionContext, config: ApproveConfig, control: ControlResource
    ) -> None:
        with dagster_failures():
            given = approve(
                catalog,
                control.ledger.approvals,
                asset=config.asset,
                hour=hour_of(config.hour),
                rule=config.rule,
                reason=config.reason,
                person=config.person,
            )
        context.log.info(f"approval {given.id}: materialise {given.asset}, {config.hour}, again")

    @dg.job(name=APPROVE, description="Lets the next load of a held hour through one rule.")
    def _job() -> None:
        _approve_hour()

    return _job
