"""What the Google Ads API says when it fails: a GoogleAdsFailure, alone or inside of a stream.

Belongs here: the meaning of errors. Not here: requests and rows.

Shapes as in https://developers.google.com/google-ads/api/docs/best-practices/error-types,
https://developers.google.com/google-ads/api/docs/best-practices/quotas (retryDelay) and
https://developers.google.com/google-ads/api/reference/rpc/v22/QuotaErrorDetails.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_BUSY_STATES = frozenset(
    {"ABORTED", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "UNKNOWN"}
)
_BUSY_ERRORS = frozenset(
    {
        "RESOURCE_EXHAUSTED",
        "RESOURCE_TEMPORARILY_EXHAUSTED",
        "EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION",
        "INTERNAL_ERROR",
        "TRANSIENT_ERROR",
        "DEADLINE_EXCEEDED",
        "CONCURRENT_MODIFICATION",
    }
)
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")
_ERROR = "error"
_PARTIAL = "partialFailureError"


def is_busy(_status: int, body: Mapping[str, Any]) -> bool:
    """Whether an error passes by itself."""
    return str(_told(body).get("status")) in _BUSY_STATES or any(
        code in _BUSY_ERRORS for error in _errors(body) for code in _codes(error)
    )


def delay(body: Mapping[str, Any]) -> float | None:
    """Seconds after which the API lets itself be asked again, where it says so."""
    found = [
        float(match[1])
        for text in _delays(body)
        if (match := _SECONDS.fullmatch(str(text))) is not None
    ]
    return max(found, default=None)


def explained(body: Mapping[str, Any]) -> str:
    """All of an error's codes and messages, for people."""
    told = _told(body)
    parts = [
        f"{'/'.join(_codes(error)) or 'error'}: {error.get('message')}" for error in _errors(body)
    ]
    requests = [detail["requestId"] for detail in _details(body) if detail.get("requestId")]
    named = f" (request {', '.join(map(str, requests))})" if requests else ""
    whole = "; ".join(parts) or str(told.get("message") or "unexplained")
    return f"{told.get('status') or 'error'}: {whole}{named}"


def in_stream(chunks: Sequence[object]) -> Mapping[str, Any] | None:
    """The first error that a stream of answers has in place of rows, as an error answer."""
    for chunk in chunks:
        if isinstance(chunk, Mapping):
            for name in (_ERROR, _PARTIAL):
                if isinstance(chunk.get(name), Mapping):
                    return {_ERROR: chunk[name]}
    return None


def _told(body: Mapping[str, Any]) -> Mapping[str, Any]:
    error = body.get(_ERROR)
    return error if isinstance(error, Mapping) else {}


def _details(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    details = _told(body).get("details")
    return [detail for detail in details or [] if isinstance(detail, Mapping)]


def _errors(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        error
        for detail in _details(body)
        for error in detail.get("errors") or []
        if isinstance(error, Mapping)
    ]


def _codes(error: Mapping[str, Any]) -> list[str]:
    code = error.get("errorCode")
    return [str(value) for value in code.values()] if isinstance(code, Mapping) else []


def _delays(body: Mapping[str, Any]) -> Iterator[object]:
    """Delays of a quota error, and of the general google.rpc.RetryInfo."""
    for detail in _details(body):
        yield detail.get("retryDelay")
    for error in _errors(body):
        details = error.get("details")
        quota = details.get("quotaErrorDetails") if isinstance(details, Mapping) else None
        if isinstance(quota, Mapping):
            yield quota.get("retryDelay")
