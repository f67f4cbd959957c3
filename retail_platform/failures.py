"""The platform's failure taxonomy: what is retried, what is not, and what was never started.

Every message names the table and the place, what was found, what was expected, and the cure.
Builders for recurring messages live beside the code that raises them, not here.
"""


class PlatformFailure(Exception):
    """Base of every failure that the platform raises on purpose."""


class TransientFailure(PlatformFailure):
    """The same attempt may succeed later: network fault, busy server, an hour not yet closed."""


class AwaitedFailure(TransientFailure):
    """The source works, and has not delivered yet what the hour needs."""


class PermanentFailure(PlatformFailure):
    """Repeating the attempt cannot help: the message says what a person has to change."""


class BlockedFailure(PlatformFailure):
    """The work was not attempted because something that it depends on has failed."""
