"""What the simulated Marketing API remembers between requests: tokens and report runs.

Here belongs state without HTTP; the shape of answers is in :mod:`ads_facebook`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from retail_platform.simulator.ads_model import FACEBOOK

TOKEN = "simulated-facebook-token"  # noqa: S105 - opens nothing but this simulator
APP_ID = "1234567890"
APP_SECRET = "simulated-facebook-app-secret"  # noqa: S105 - opens nothing but this simulator
ACCOUNT = f"act_{FACEBOOK.account_id}"
_FIRST_RUN = 6_023_920_149_050

Fate = Literal["completes", "fails", "is_skipped", "never_ends"]


@dataclass
class Run:
    """One report run: running when it is asked for first, and then at its end."""

    id: str
    parameters: Mapping[str, str]
    clock: datetime
    fate: Fate
    polls: int = 0

    def poll(self) -> None:
        """It was asked for once more."""
        self.polls += 1

    @property
    def _ended(self) -> bool:
        return self.polls > 1 and self.fate != "never_ends"

    @property
    def has_completed(self) -> bool:
        """Whether its insights may be read."""
        return self._ended and self.fate == "completes"

    @property
    def has_failed(self) -> bool:
        """Whether it ended without insights."""
        return self._ended and self.fate == "fails"

    @property
    def status(self) -> str:
        """As the platform says it."""
        if not self._ended:
            return "Job Running"
        ends = {"completes": "Job Completed", "fails": "Job Failed", "is_skipped": "Job Skipped"}
        return ends[self.fate]

    @property
    def percent(self) -> int:
        """How much of it is done."""
        return 100 if self.has_completed else min(40 * self.polls, 80)


@dataclass
class FacebookState:
    """Tokens and report runs of one server.

    Attributes:
        valid: Tokens that open the account.
        ended: Tokens that did once.
        fates: What becomes of the next runs, in order; those after them complete.
    """

    valid: set[str] = field(default_factory=lambda: {TOKEN})
    ended: set[str] = field(default_factory=set)
    fates: Sequence[Fate] = ()
    _runs: dict[str, Run] = field(default_factory=dict)
    _given: int = 0

    def is_valid(self, token: str) -> bool:
        """Whether a token opens the account."""
        return token in self.valid

    def has_ended(self, token: str) -> bool:
        """Whether a token did once."""
        return token in self.ended

    def is_app(self, app_id: str, secret: str) -> bool:
        """Whether these are the app's."""
        return (app_id, secret) == (APP_ID, APP_SECRET)

    def exchange(self) -> str:
        """Another token."""
        self._given += 1
        token = f"simulated-facebook-token-{self._given}"
        self.valid.add(token)
        return token

    def end(self, token: str) -> None:
        """The token expires."""
        self.valid.discard(token)
        self.ended.add(token)

    def submit(self, parameters: Mapping[str, str], clock: datetime) -> str:
        """A new report run; returns its id."""
        number = len(self._runs)
        fate = self.fates[number] if number < len(self.fates) else "completes"
        run = Run(str(_FIRST_RUN + number), dict(parameters), clock, fate)
        self._runs[run.id] = run
        return run.id

    def run(self, run_id: str) -> Run | None:
        """A run by its id."""
        return self._runs.get(run_id)
