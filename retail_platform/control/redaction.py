"""Secrets taken out of text before it is stored, logged or shown.

Belongs here: the patterns. Does not belong here: masking of personal data in tables.
"""

import re

_MASK = "***"

# The password part of a URL runs to the last @ of the unbroken text: SQLAlchemy accepts a slash in
# a password, and hiding too much is the smaller fault.
_URL_PASSWORD = re.compile(r"(://[^\s:/@]*:)\S*@")
_BEARER = re.compile(r"(\b(?:bearer|basic)\s+)[^\s\"',;}]+", re.IGNORECASE)
_NAMED_SECRET = re.compile(
    r"(\b[\w-]*(?:password|passwd|pwd|token|secret|accountkey|api[_-]?key|sig)\b[\"']?\s*[=:]\s*)"
    r"(\"[^\"]*\"|'[^']*'|(?!(?:bearer|basic)\s)[^\s&;,\"'})]+)",
    re.IGNORECASE,
)


def redact(text: str, *secrets: str) -> str:
    """The text without URL passwords, tokens and other named secrets.

    Args:
        text: Any text, typically an error message.
        secrets: Values known to be secret; each occurrence is hidden wherever it stands.

    Returns:
        The same text with every secret replaced by ``***``.
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, _MASK)
    text = _URL_PASSWORD.sub(rf"\g<1>{_MASK}@", text)
    text = _BEARER.sub(rf"\g<1>{_MASK}", text)
    return _NAMED_SECRET.sub(rf"\g<1>{_MASK}", text)
