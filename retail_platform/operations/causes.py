"""Why something is BLOCKED, as text: what went wrong first, and the way from there.

The ledger's column ``causes`` holds one line a root cause:
``silver/customers failed: PermanentFailure: ...; so silver/orders, silver/order_lines``.
Not here: finding the causes (`parents`, `blocked`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

LONGEST_ERROR = 300
_SO = "; so "


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A root cause and what it has blocked on the way to one asset.

    Attributes:
        root: What the trouble is, beginning with the asset that has it.
        through: The blocked assets from there on, in order; the last one is the one asked about.
    """

    root: str
    through: tuple[str, ...] = ()

    def then(self, asset: str) -> "Cause":
        """The same cause, seen from an asset further down."""
        return self if asset in self.through else replace(self, through=(*self.through, asset))


def failed(asset: str, error: str | None) -> Cause:
    """The cause that a failed asset is; of its error the first line."""
    lines = (error or "no error was recorded").strip().splitlines()
    text = lines[0].replace(_SO, "; ")
    return Cause(root=f"{asset} failed: {text[:LONGEST_ERROR]}")


def never_loaded(asset: str) -> Cause:
    """The cause that a parent is whose hour nobody has loaded."""
    return Cause(root=f"{asset} was never loaded for this hour")


def written(causes: Iterable[Cause]) -> str:
    """The text of causes, one line each; two ways from one root are one line."""
    merged: dict[str, Cause] = {}
    for cause in causes:
        known = merged.get(cause.root, Cause(root=cause.root))
        # The last one is the asset itself: it goes behind all that lies on either way to it.
        *between, last = cause.through
        through = [asset for asset in known.through if asset != last]
        through += [asset for asset in between if asset not in through]
        merged[cause.root] = replace(known, through=(*through, last))
    return "\n".join(f"{cause.root}{_SO}{', '.join(cause.through)}" for cause in merged.values())


def read_causes(text: str | None) -> list[Cause]:
    """The causes that `written` has written."""
    causes = []
    for line in (text or "").splitlines():
        root, _, through = line.rpartition(_SO)
        causes.append(Cause(root=root, through=tuple(through.split(", "))))
    return causes
