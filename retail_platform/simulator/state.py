"""What the simulator remembers between two starts: ``state.json``.

Here belongs the file and its atomic writing. How far each database has come is kept in the database
itself.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from retail_platform.failures import PermanentFailure

FORMAT = 2


@dataclass(frozen=True, kw_only=True)
class State:
    """Fixed at the first start, except ``clock``.

    Attributes:
        seed: Seed of every draw.
        now: The instant by which the feeds were shifted.
        start: The first clock; the initial rows are the state at this instant.
        landing_from: POS files of hours that end after this instant are dropped.
        weeks: Shift of each feed in whole weeks.
        log_sha256: Digest of the change log, made again at each start and compared.
        clock: The simulator's present.
    """

    seed: int
    now: datetime
    start: datetime
    landing_from: datetime
    weeks: dict[str, int]
    log_sha256: str
    clock: datetime

    def at(self, clock: datetime) -> "State":
        """The same state with another present."""
        return replace(self, clock=clock)

    def write(self, path: Path) -> None:
        """Replace the file as a whole."""
        content = {"format": FORMAT, **asdict(self)}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(content, default=datetime.isoformat, indent=1), "utf-8")
        part.replace(path)

    @classmethod
    def read(cls, path: Path) -> "State":
        """The state of an earlier start.

        Raises:
            PermanentFailure: The file was written by another version or is damaged.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
            if content.pop("format") != FORMAT:
                raise ValueError("another format")
            instants = ("now", "start", "landing_from", "clock")
            content |= {name: datetime.fromisoformat(content[name]) for name in instants}
            return cls(**content)
        except (ValueError, KeyError, TypeError) as damage:
            raise PermanentFailure(
                f"simulator: {path.name} is not a state of this version ({damage}); "
                "start over with an empty folder (demo --fresh)"
            ) from damage
