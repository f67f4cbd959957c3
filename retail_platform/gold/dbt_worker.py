"""A dbt process that imports first and asks later: run as a script by `worker`.

Importing dbt and pyspark and reading the parsed project (the file that is its argument) takes most
of a small build's time and depends on nothing else, so the process can be started while Bronze and
Silver still load. It then reads one JSON line from its standard input, `{"arguments": [...],
"environment": {...}}`, and becomes that dbt command. The end of its input means that nobody needs
it any more or that its parent is gone, engine and all: it ends.

Not here: who starts it and when (`worker`).
"""

import gc
import importlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

# What a build would otherwise import one after the other once it has begun.
PRELOADED = (
    "dbt.cli.main",
    "dbt.task.build",
    "dbt.adapters.spark",
    "dbt.adapters.spark.session",
    "pyspark.sql.connect.session",
    "pyspark.sql.connect.dataframe",
    "pyspark.sql.connect.functions.builtin",
    "agate",
)


def main() -> None:
    """Preload, wait for the one request, and run it."""
    # One short-lived process: collecting its garbage costs more than it frees.
    gc.disable()
    for name in PRELOADED:
        importlib.import_module(name)
    manifest = _parsed_project(Path(sys.argv[1]))
    line = sys.stdin.readline()
    if not line:
        return
    request = json.loads(line)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(request["environment"])
    from dbt.cli.main import cli

    try:
        cli(args=request["arguments"], prog_name="dbt", obj={"manifest": manifest})
    except SystemExit as end:
        # Tearing down an interpreter full of dbt takes 0.5 s in which the step waits.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)


def _parsed_project(partial_parse: Path) -> "Manifest":
    """The manifest as dbt itself would read it back, of a project that has not changed since."""
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack(partial_parse.read_bytes())
    manifest.build_parent_and_child_maps()
    manifest.build_flat_graph()
    return manifest


def _end_with_parent() -> None:
    # Without its engine dbt would go on for minutes, retrying against a closed port.
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
