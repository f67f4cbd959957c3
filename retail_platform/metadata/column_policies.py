"""What happens to single columns: removed, retyped, marking deletes, or personal."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from retail_platform.metadata.values import Frozen, Name


class RemovedDefault(Frozen):
    """The value of a column that the source no longer has."""

    default: str | int | float | bool


class Removed(Frozen):
    """What stands in for a column of the contract that the source no longer has.

    Attributes:
        policy: ``keep``: the last known value of the row's key; ``drop``: NULL.
        columns: The same by Silver column, or ``{default: value}``.
    """

    policy: Literal["keep", "drop"] = "keep"
    columns: dict[Name, Literal["keep", "drop"] | RemovedDefault] = Field(default_factory=dict)

    def of(self, column: str) -> Literal["keep", "drop"] | RemovedDefault:
        """The policy of one column."""
        return self.columns.get(column, self.policy)

    def said(self, column: str) -> str:
        """What happens to one column, for people."""
        policy = self.of(column)
        if isinstance(policy, RemovedDefault):
            return f"{column} (is {policy.default!r})"
        return f"{column} (keeps its last value)" if policy == "keep" else f"{column} (is NULL)"


def removed_from(value: object) -> object:
    """Lets one policy stand for all columns."""
    return {"policy": value} if isinstance(value, str) else value


class SchemaModes(Frozen):
    """What a change of the source's schema does.

    Attributes:
        columns: A new column: ``evolve`` keeps it in Bronze and warns, ``freeze`` holds the hour,
            ``discard_value`` keeps it in Bronze and says nothing.
        types: A value that cannot be read as the contract's type: ``freeze``, ``discard_row`` and
            ``evolve`` quarantine its row, ``discard_value`` makes it NULL, counted by a warning.
            Another type in the contract than in the stored table: ``evolve`` holds the hour, and
            once that is approved rewrites the table where the new type is wider; with all others
            the load fails.
    """

    columns: Literal["evolve", "freeze", "discard_value"] = "evolve"
    types: Literal["evolve", "freeze", "discard_row", "discard_value"] = "freeze"


def _text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool | int) else value


class SoftDelete(Frozen):
    """How the source marks a row as deleted; such a row becomes a tombstone with its sequence.

    Attributes:
        column: Silver name of the column that says so.
        values: Its values that mean deleted, compared as text without case; none: any value does,
            as in a column ``deleted_at``.
    """

    column: Name
    values: tuple[Annotated[str, BeforeValidator(_text)], ...] = ()


class Pii(Frozen):
    """How a personal text column is protected; ``hash`` alone is short for ``{method: hash}``.

    Attributes:
        method: ``hash`` masks it in Silver by an HMAC over its normal form.
        kind: What it is, which says its normal form: e-mail address, telephone number, any text.
        keep_clear: Whether the normal form is kept in clear in the restricted ``<entity>__pii``.
    """

    method: Literal["hash"]
    kind: Literal["email", "phone", "text"] = "text"
    keep_clear: bool = False


def pii_from(value: object) -> object:
    """Lets a method alone stand for its defaults."""
    return {"method": value} if isinstance(value, str) else value
