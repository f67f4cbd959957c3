"""What an ad account says of itself, against what metadata says: a difference is never read over.

Days and hours of an account are in its own zone and money in its own currency, so rows of an
account that is not the expected one would be filed under wrong hours or added to other money.
"""

from dataclasses import dataclass

from retail_platform.failures import PermanentFailure


@dataclass(frozen=True, kw_only=True)
class Account:
    """Zone (IANA) and currency (ISO 4217) of an account; None where nothing is said."""

    timezone: str | None = None
    currency: str | None = None


def checked(found: Account, expected: Account | None, *, place: str) -> None:
    """Refuses an account that differs from metadata.

    Args:
        found: What the platform says.
        expected: What metadata says; None of it is compared where that is None.
        place: Source and account, for the message.

    Raises:
        PermanentFailure: they differ.
    """
    if expected is None:
        return
    for name, told, wanted in (
        ("timezone", found.timezone, expected.timezone),
        ("currency", found.currency, expected.currency),
    ):
        if wanted is not None and told != wanted:
            raise PermanentFailure(
                f"{place}: the account's {name} is {told}, metadata says {wanted}; its rows would "
                f"mean something else. Set connection.{name} of the source to {told} if the "
                "account is the right one, or name the right account"
            )
