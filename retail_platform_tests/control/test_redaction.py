"""No secret survives redaction, and plain text does."""

import pytest

from retail_platform.control.redaction import redact


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
    "text", ["table orders, hour 2026-11-20T05:00:00+00:00", "http://127.0.0.1:8080/v21.0/act_1"]
)
def test_plain_text_stays(text: str) -> None:
    assert redact(text) == text
