"""A list of an API through time: every version of every record, and what a reader sees of them.

Here belongs the one way in which all simulated REST APIs remember. What the records say, and how
they are served, is in the modules beside this one.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Record = Mapping[str, Any]


def told(at: datetime) -> str:
    """An instant as the APIs write it: ISO 8601, UTC, whole seconds."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Book:
    """Records by id with all of their versions.

    Attributes:
        name: The list's name.
    """

    name: str
    _versions: dict[str, list[tuple[datetime, Record]]] = field(default_factory=dict)

    def put(self, key: str, at: datetime, record: Record) -> None:
        """Write a version; ``updated_at`` is set to its instant, cut to whole seconds.

        Versions of one record are written in the order of their instants; of two in the same second
        the later one stays.
        """
        at = at.replace(microsecond=0)
        versions = self._versions.setdefault(key, [])
        if versions and versions[-1][0] >= at:
            at = versions.pop()[0]
        versions.append((at, {**record, "updated_at": told(at)}))

    def last(self, key: str) -> Record:
        """The newest version of a record."""
        return self._versions[key][-1][1]

    def keys(self) -> list[str]:
        """Ids of all records."""
        return list(self._versions)

    def listed(
        self, clock: datetime, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[Record]:
        """Records as they stand at ``clock``, those last changed in ``[since, until)``.

        Args:
            clock: The present; changes with ``at < clock`` are seen.
            since: Inclusive; None: from the beginning.
            until: Exclusive; None: no end.

        Returns:
            In the order of their last change, then of their ids.
        """
        found = []
        for key, versions in self._versions.items():
            place = bisect_left(versions, clock, key=lambda version: version[0])
            if place == 0:
                continue
            at, record = versions[place - 1]
            if (since is None or since <= at) and (until is None or at < until):
                found.append((at, key, record))
        return [record for _, _, record in sorted(found, key=lambda entry: entry[:2])]
