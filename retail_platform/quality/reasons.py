"""The rule behind a reason: what counts are grouped by, without the value or place of one row.

A reason is the text that a refused row carries ("amount: cannot read 1.5x as int"); its rule is
the part that all rows share ("amount cannot be read as int"). Said twice, for the engine and for
Python, and kept together so that both say the same.
"""

import re

_UNREADABLE = re.compile(r"(?s)(\w+): cannot read .* as (\S+)")
_PLACE = re.compile(r"(?s)^.*, line [0-9]+: ")


def rule_of(reason: str) -> str:
    """The rule behind a reason."""
    unreadable = _UNREADABLE.fullmatch(reason)
    if unreadable:
        return f"{unreadable[1]} cannot be read as {unreadable[2]}"
    return _PLACE.sub("", reason)


def rule_sql(reason: str) -> str:
    """SQL of the rule behind the reason in a column."""
    return (
        f"case when {reason} like '%: cannot read % as %' "
        f"then concat(substring_index({reason}, ': cannot read ', 1), ' cannot be read as ', "
        f"substring_index({reason}, ' as ', -1)) "
        f"else regexp_replace({reason}, '(?s)^.*, line [0-9]+: ', '') end"
    )
