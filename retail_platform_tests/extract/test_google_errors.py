"""A GoogleAdsFailure in all places where it may stand, and how long it asks to wait."""

from typing import Any

import pytest

from retail_platform.extract.google_errors import delay, explained, in_stream, is_busy

TYPE = "type.googleapis.com/google.ads.googleads.v25.errors.GoogleAdsFailure"


def failure(
    code: dict[str, str], status: str = "INVALID_ARGUMENT", retry: str | None = None
) -> dict[str, Any]:
    error: dict[str, Any] = {"errorCode": code, "message": "why"}
    if retry:
        error["details"] = {"quotaErrorDetails": {"rateScope": "DEVELOPER", "retryDelay": retry}}
    return {
        "error": {
            "code": "400",
            "message": "Request contains an invalid argument.",
            "status": status,
            "details": [{"@type": TYPE, "errors": [error], "requestId": "r-1"}],
        }
    }


@pytest.mark.parametrize(
    ("body", "busy"),
    [
        (failure({"quotaError": "RESOURCE_EXHAUSTED"}, "RESOURCE_EXHAUSTED"), True),
        (failure({"quotaError": "RESOURCE_TEMPORARILY_EXHAUSTED"}), True),
        (failure({"internalError": "TRANSIENT_ERROR"}), True),
        (failure({"internalError": "INTERNAL_ERROR"}, "INTERNAL"), True),
        ({"error": {"status": "UNAVAILABLE"}}, True),
        (failure({"queryError": "UNRECOGNIZED_FIELD"}), False),
        (failure({"authorizationError": "USER_PERMISSION_DENIED"}, "PERMISSION_DENIED"), False),
        ({}, False),
    ],
    ids=str,
)
def test_what_passes_by_itself(body: dict[str, Any], busy: bool) -> None:
    assert is_busy(400, body) is busy


def test_how_long_to_wait() -> None:
    assert delay(failure({"quotaError": "RESOURCE_EXHAUSTED"}, retry="34s")) == 34
    assert delay(failure({"quotaError": "RESOURCE_EXHAUSTED"}, retry="1.5s")) == 1.5
    general = {"error": {"details": [{"@type": "google.rpc.RetryInfo", "retryDelay": "7s"}]}}
    assert delay(general) == 7
    assert delay(failure({"queryError": "X"})) is None


def test_everything_is_told() -> None:
    told = explained(failure({"queryError": "UNRECOGNIZED_FIELD"}))
    assert told == "INVALID_ARGUMENT: UNRECOGNIZED_FIELD: why (request r-1)"
    assert explained({}) == "error: unexplained"


def test_an_error_in_the_middle_of_a_stream_is_seen() -> None:
    rows = {"results": [{"campaign": {"id": "1"}}]}
    broken = failure({"internalError": "TRANSIENT_ERROR"})
    assert in_stream([rows, rows]) is None
    assert in_stream([rows, broken]) == broken
    assert in_stream([{**rows, "partialFailureError": broken["error"]}]) == broken
