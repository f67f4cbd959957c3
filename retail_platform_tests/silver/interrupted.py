"""Loads that end at any of their writes as if the process were gone: nothing tidies up after them.

Quick, for histories with many of them; `killed_child` does it for good, with a process that dies.
"""

from collections.abc import Callable
from typing import Any

from retail_platform_tests.platform.box import Box

WRITES = ("ensure", "append", "merge")


class Interrupted(BaseException):
    """The process is gone."""


def interrupted(box: Box, load: Callable[[], object], *, write: int, before: bool) -> bool:
    """Runs a load that ends at one of its writes to the lake, or at its success in the ledger.

    Args:
        box: Where it runs.
        load: The load.
        write: At which of them, counted from 1.
        before: Whether just before it, or just after it.

    Returns:
        Whether the load came so far; one with fewer writes is an ordinary load.
    """
    left = write
    owners: list[tuple[object, str]] = [(box.lake, name) for name in WRITES]
    owners.append((box.ledger, "succeed"))

    def ending(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0 and before:
                raise Interrupted
            result = original(*args, **named)
            if left == 0:
                raise Interrupted
            return result

        return wrapped

    for owner, name in owners:
        setattr(owner, name, ending(getattr(owner, name)))
    # A process that is gone closes nothing in the ledger.
    box.ledger.fail = lambda *_, **__: None
    try:
        load()
    except Interrupted:
        return True
    finally:
        for owner, name in owners:
            delattr(owner, name)
        del box.ledger.fail
    return False
