"""Secrets taken out of text before it is stored, logged or shown.

Belongs here: the patterns. Does not belong here: masking of personal data in tables.
"""

import base64
import json
import logging
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

_MASK = "***"
_ENCODED_BYTES = 6

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
        secrets: Values known to be secret; each occurrence is hidden wherever it stands, also as
            URLs, JSON, hexadecimal digits and base64 write it.

    Returns:
        The same text with every secret replaced by ``***``.
    """
    for form in sorted({form for s in secrets if s for form in _written(s)}, key=len, reverse=True):
        text = text.replace(form, _MASK)
    text = _URL_PASSWORD.sub(rf"\g<1>{_MASK}@", text)
    text = _BEARER.sub(rf"\g<1>{_MASK}", text)
    return _NAMED_SECRET.sub(rf"\g<1>{_MASK}", text)


def redacted(value: object, *secrets: str) -> object:
    """The same for every text of a nested value: lists, and the members of objects."""
    if isinstance(value, dict):
        return {name: redacted(member, *secrets) for name, member in value.items()}
    if isinstance(value, list):
        return [redacted(item, *secrets) for item in value]
    return redact(value, *secrets) if isinstance(value, str) else value


def redact_log(name: str) -> None:
    """Takes named secrets out of what a library logs under this name, such as URLs it asks for."""
    logger = logging.getLogger(name)
    if not any(isinstance(one, _Redacting) for one in logger.filters):
        logger.addFilter(_Redacting())


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        return True


def _written(secret: str) -> Iterator[str]:
    """A secret as texts may write it."""
    yield secret
    yield quote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    raw = secret.encode()
    if len(raw) < _ENCODED_BYTES:
        # So few digits may stand in any text.
        return
    yield raw.hex()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            # Within a longer value, such as a user's name before it: the digits that it shares
            # with its neighbours are left out.
            text = encode(b"\0" * before + raw).decode()
            yield text[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
