"""``reconcile``: the proof, as a command."""

import json
import sys

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def reconcile(as_json: bool) -> None:
    """Compare the lake with what plain Python computes from the simulator's books.

    Exit code 1 where they differ.
    """
    from retail_platform.demo.reconciled import reconciled_lines
    from retail_platform.demo.summary import print_reconciliation

    lines = reconciled_lines()
    if as_json:
        rows = [
            {
                "table": line.table,
                "measure": line.measure,
                "expected": str(line.expected),
                "actual": str(line.actual),
                "agrees": line.agrees,
            }
            for line in lines
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        print_reconciliation(lines)
    sys.exit(0 if all(line.agrees for line in lines) else 1)
