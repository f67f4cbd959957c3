"""The group of all commands. A new command is one line of ``COMMANDS`` and a module beside this."""

from importlib import import_module

import click

from retail_platform.failures import PlatformFailure

COMMANDS = {
    "demo": "retail_platform.cli.demo:demo",
    "add-kafka": "retail_platform.cli.add_kafka:add_kafka",
    "reconcile": "retail_platform.cli.reconcile:reconcile",
    "audit": "retail_platform.cli.audit:audit",
    "reprocess": "retail_platform.cli.reprocess:reprocess",
    "reprocess-blocked": "retail_platform.cli.reprocess_blocked:reprocess_blocked",
    "restore": "retail_platform.cli.restore:restore",
    "approve": "retail_platform.cli.approve:approve",
    "maintain": "retail_platform.cli.maintain:maintain",
    "onboard": "retail_platform.cli.onboard:onboard",
    "contracts": "retail_platform.cli.contracts:contracts",
    "quarantine": "retail_platform.cli.quarantine:quarantine",
    "plan": "retail_platform.cli.plan:plan",
    "dbt": "retail_platform.cli.dbt:dbt",
    "bench": "retail_platform.cli.bench:bench",
}
"""Name of each command, in the order of ``--help``, to ``module:function``."""


class _Commands(click.Group):
    """Imports a command when it is asked for; shows the platform's failures as one message."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name].partition(":")
        return getattr(import_module(module), function)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except PlatformFailure as failure:
            raise click.ClickException(str(failure)) from failure


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """RetailCorp's lakehouse: run it, look at it, repair it, prove it."""
