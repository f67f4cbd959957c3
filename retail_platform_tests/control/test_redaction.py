"""No secret survives redaction, and plain text does."""

import base64
import json
import logging
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from retail_platform.control.redaction import redact, redact_log


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:s3cret@host:5432/db",
        "mssql://user:s3cret/with@slash@host/db failed",
        "Authorization: Bearer s3cret",
        "GET /insights?access_token=s3cret&limit=5",
        '{"access_token": "s3cret", "x": 1}',
        "developer-token: s3cret",
        "AccountKey=s3cret;EndpointSuffix=core",
        "password='s3cret' host=db",
        "https://x.blob/f?sv=1&sig=s3cret%3D",
        "FACEBOOK_ADS_TOKEN=s3cret",
    ],
)
def test_named_secrets_are_hidden(text: str) -> None:
    assert "s3cret" not in redact(text)
    assert "***" in redact(text)


def test_given_secrets_are_hidden_anywhere() -> None:
    assert redact("refused abc123 twice: abc123", "abc123", "") == "refused *** twice: ***"


@pytest.mark.parametrize(
    "written",
    [
        quote_plus,
        lambda secret: quote(secret, safe=""),
        lambda secret: json.dumps({"said": secret}),
        lambda secret: secret.encode().hex(),
        lambda secret: base64.b64encode(secret.encode()).decode(),
        lambda secret: base64.b64encode(f"user:{secret}:x".encode()).decode(),
        lambda secret: base64.urlsafe_b64encode(f"an:{secret}".encode()).decode(),
    ],
    ids=["form", "url", "json", "hex", "base64", "within base64", "url-safe base64"],
)
def test_given_secrets_are_hidden_however_they_are_written(written: Callable[[str], str]) -> None:
    secret = 'a?b/c+d="e~ and more'
    shown = redact(f"said {written(secret)} and went", secret)
    assert "***" in shown
    assert (shown[:5], shown[-9:]) == ("said ", " and went")
    assert len(shown) < len("said *** and went") + 15, "but for what stands around it"


@pytest.mark.parametrize(
    "text", ["table orders, hour 2026-11-20T05:00:00+00:00", "http://127.0.0.1:8080/v21.0/act_1"]
)
def test_plain_text_stays(text: str) -> None:
    assert redact(text) == text


def test_a_library_s_log_is_redacted_once_and_for_all(caplog: pytest.LogCaptureFixture) -> None:
    name = "a.library.that.logs.urls"
    caplog.set_level(logging.DEBUG)
    for _ in range(2):
        redact_log(name)
    assert len(logging.getLogger(name).filters) == 1
    logging.getLogger(name).debug('"GET %s HTTP/1.1" %d', "/f?sv=1&sig=s3cret%3D", 200)
    assert caplog.messages == ['"GET /f?sv=1&sig=*** HTTP/1.1" 200']
