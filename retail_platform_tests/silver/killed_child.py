"""What runs in a child process that kills itself, with a real SIGKILL, at one point of a load."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from retail_platform.lakehouse.engine import open_engine
from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.metadata.loader import load_catalog
from retail_platform.settings import Engine
from retail_platform_tests.platform.box import Box, Row, hour_at
from retail_platform_tests.platform.sources import ArrowReader

Point = Literal[
    "bronze appended",
    "bronze committed",
    "silver classified",
    "quarantine merged",
    "silver merged",
    "silver swept",
    "before silver succeeds",
]


def load_and_die(
    home: str,
    catalog: str,
    entity: str,
    number: int,
    rows: list[Row],
    names: list[str],
    point: Point,
) -> None:
    """Loads one hour into Bronze and Silver, and is killed at ``point``.

    Args:
        home: Folder of the box.
        catalog: Folder of its catalog.
        entity: Table to load.
        number: Hour to load.
        rows: What the source delivers.
        names: Its columns.
        point: Where to die; the load ends in an error if it never gets there.
    """
    with open_engine(Engine.EMBEDDED) as session:
        lake = Lakehouse(session.spark, f"{home}/lake")
        box = Box(lake, load_catalog(Path(catalog)), f"sqlite:///{home}/control.db")
        reader = ArrowReader.at(number, rows, names)
        if point.startswith("bronze"):
            _arm(point, box, reader)
        box.bronze_from(entity, number, reader)
        loader = box.silver_loader(entity)
        _arm(point, box, reader)
        loader.load(hour_at(number))


def _arm(point: Point, box: Box, reader: ArrowReader) -> None:
    lake, ledger = box.lake, box.ledger
    match point:
        case "bronze appended":
            _die_after(lake, "append")
        case "bronze committed":
            _die_after(reader, "committed")
        case "silver classified":
            _die_before(lake, "merge")
        case "quarantine merged":
            _die_after(lake, "merge", calls=lambda layer, *_: layer == "quarantine")
        case "silver merged":
            _die_after(lake, "merge", calls=lambda layer, *_: layer == "silver")
        case "silver swept":
            _die_after(lake, "merge", calls=lambda layer, *_: layer == "silver", number=2)
        case "before silver succeeds":
            _die_before(ledger, "succeed")


def _die_after(
    owner: object, method: str, *, calls: Callable[..., bool] = lambda *_: True, number: int = 1
) -> None:
    """Kills the process when the ``number``-th fitting call of a method has returned."""
    original = getattr(owner, method)
    left = number

    def wrapped(*args: Any, **named: Any) -> object:
        nonlocal left
        result = original(*args, **named)
        if calls(*args):
            left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, method, wrapped)


def _die_before(owner: object, method: str) -> None:
    def killed(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, method, killed)
