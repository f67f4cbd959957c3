"""What goes wrong on purpose at the ads server, for tests: which request, and in what way.

Here belongs the vocabulary; :mod:`ads_server` plays it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from retail_platform.simulator.ads_facebook_state import Fate

RATE_LIMIT_EVERY = 40
RETRY_AFTER_SECONDS = 1

Fault = Literal[
    "server_error",
    "unavailable",
    "half_page",
    "no_answer",
    "malformed",
    "slow",
    "rate_limit",
    "account_limit",
    "full",
    "repeated_page",
    "cursor_expired",
    "token_expired",
    "broken_stream",
]


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Which requests go wrong, by number (the first request to the server is 1).

    Attributes:
        kinds: Request number -> what happens: ``server_error`` answers 500 and ``unavailable`` 503,
            ``half_page`` announces the whole body and sends half of it, ``no_answer`` ends the
            connection, ``malformed`` answers with what is no JSON, ``slow`` answers after
            `slow_seconds`, ``rate_limit`` answers 429 with how long to wait, ``account_limit`` says
            so as status 400, ``full`` answers and tells that the account has used all of its limit,
            ``repeated_page`` gives the page before, again, ``cursor_expired`` refuses the cursor,
            ``token_expired`` ends all tokens before the request is looked at, ``broken_stream``
            ends a stream with an error after its first rows. What only one platform knows is played
            for that one only; the other one answers.
        rate_limit_every: Every n-th request is answered 429; 0 switches it off.
        retry_after: Seconds that a 429 asks to wait.
        regain_minutes: Minutes that ``full`` tells until the limit is free again.
        slow_seconds: How slow ``slow`` is.
        fates: What becomes of report runs, in order; those after them complete.
    """

    kinds: Mapping[int, Fault] = field(default_factory=dict)
    rate_limit_every: int = RATE_LIMIT_EVERY
    retry_after: int = RETRY_AFTER_SECONDS
    regain_minutes: int = 12
    slow_seconds: float = 2.0
    fates: Sequence[Fate] = ()
