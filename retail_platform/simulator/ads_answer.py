"""What the ad servers share: an answer, and cursors that remember the hour they were given in.

Here belongs paging without meaning; the two APIs' own shapes are in their modules.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Answer:
    """Status, JSON body and extra headers of one HTTP answer."""

    status: int
    body: Mapping[str, Any] | Sequence[Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cursor:
    """A place in a listing: how many rows were given, and the hour as of which they are listed."""

    offset: int
    clock: datetime

    def encode(self) -> str:
        """Opaque text as the real APIs give it."""
        content = json.dumps([self.offset, self.clock.isoformat()]).encode()
        return base64.urlsafe_b64encode(content).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """The cursor of :meth:`encode`.

        Raises:
            ValueError: The text is no cursor.
        """
        content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        offset, clock = json.loads(content)
        return cls(int(offset), datetime.fromisoformat(clock))
