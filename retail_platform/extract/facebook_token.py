"""An access token of the Graph API: where it is kept, exchanged in time, read again when refused.

Belongs here: the life of a token. Not here: what it opens.

A long-lived token lives for 60 days, one of a system user as long or for ever. With the app's
secret it is exchanged for a new one while it is valid; an expired one cannot be exchanged, see
https://developers.facebook.com/docs/facebook-login/guides/access-tokens/get-long-lived and
https://developers.facebook.com/docs/facebook-login/access-tokens/debugging-and-error-handling.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retail_platform.extract.http import JsonApi, Patience, RequestRefused
from retail_platform.failures import PermanentFailure

FILE = "file:"
_BEFORE_THE_END = timedelta(days=7)


@dataclass(frozen=True)
class KnownToken:
    """A token and when it ends, where that is known."""

    token: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True)
class TokenPlace:
    """Where a token is kept: a setting's own value, or the file that it names.

    Attributes:
        value: The token, or ``file:`` and a path. Such a file holds the token alone, or JSON with
            ``access_token`` and ``expires_at`` (ISO 8601).
        name: The source in messages.
    """

    value: str = field(repr=False)
    name: str

    @property
    def is_file(self) -> bool:
        """Whether another token may be found there later."""
        return self.value.startswith(FILE)

    def read(self) -> KnownToken:
        """The token that is there now.

        Raises:
            PermanentFailure: there is none.
        """
        if not self.is_file:
            return KnownToken(self.value)
        try:
            text = self._path.read_text("utf-8").strip()
        except OSError as error:
            raise self._missing(type(error).__name__) from error
        if not text.startswith("{"):
            return KnownToken(text) if text else self._refuse("the file is empty")
        try:
            content = json.loads(text)
            ends = content.get("expires_at")
            return KnownToken(
                content["access_token"],
                datetime.fromisoformat(ends).astimezone(UTC) if ends else None,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise self._missing(f"the file is not as expected ({type(error).__name__})") from None

    def keep(self, known: KnownToken) -> None:
        """Puts another token in the file's place, readable for its owner only."""
        ends = known.expires_at.isoformat() if known.expires_at else None
        content = json.dumps({"access_token": known.token, "expires_at": ends})
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(content)
        beside.replace(self._path)

    @property
    def _path(self) -> Path:
        return Path(self.value.removeprefix(FILE))

    def _refuse(self, found: str) -> KnownToken:
        raise self._missing(found)

    def _missing(self, found: str) -> PermanentFailure:
        return PermanentFailure(
            f"source {self.name}: no token in the file that the token's variable names: {found}; "
            'write the token alone into it, or {"access_token": ..., "expires_at": ...}'
        )


@dataclass(kw_only=True)
class FacebookToken:
    """The token in use; an `Authorization` of `JsonApi`.

    Attributes:
        place: Where it is kept.
        base_url: The Graph API.
        version: Its version.
        app: Id and secret of the app that it was given to; None: it is never exchanged.
        patience: How long to try.
    """

    place: TokenPlace
    base_url: str
    version: str
    app: tuple[str, str] | None = field(default=None, repr=False)
    patience: Patience = field(default_factory=Patience)
    _known: KnownToken | None = field(init=False, repr=False, default=None)
    _seen: list[str] = field(init=False, repr=False, default_factory=list)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The app's secret and every token that was in use."""
        return (*([self.app[1]] if self.app else []), *self._seen)

    def headers(self) -> Mapping[str, str]:
        """The token as a header; one that is kept in a file is exchanged a week before its end.

        Raises:
            TransientFailure: the API does not answer.
            PermanentFailure: there is no token, or it is not exchanged.
        """
        if self._known is None:
            self._use(self.place.read())
        known = self._known
        assert known is not None, "just read"
        if self.app is not None and self.place.is_file and _ends_soon(known):
            known = self._exchanged(known, self.app)
            self.place.keep(known)
            self._use(known)
        return {"Authorization": f"Bearer {known.token}"}

    def refused(self) -> bool:
        """Reads the token again: somebody, or another run, may have put a new one in its place.

        Raises:
            PermanentFailure: it is the one that was refused.
        """
        before = self._known
        self._use(self.place.read())
        if before is None or self._known is None or before.token == self._known.token:
            raise PermanentFailure(
                f"source {self.place.name}: the API says that the access token has expired or was "
                "withdrawn (error code 190). Make a new one in the Business settings (one of a "
                "system user does not expire), put it where the token's variable says, and run the "
                "hour again: nothing of it is lost"
            )
        return True

    def _use(self, known: KnownToken) -> None:
        self._known = known
        if known.token not in self._seen:
            self._seen.append(known.token)

    def _exchanged(self, known: KnownToken, app: tuple[str, str]) -> KnownToken:
        parameters = {
            "grant_type": "fb_exchange_token",
            "client_id": app[0],
            "client_secret": app[1],
            "fb_exchange_token": known.token,
            "set_token_expires_in_60_days": "true",
        }
        with JsonApi(
            base_url=self.base_url,
            name=self.place.name,
            headers={},
            secrets=self.secrets,
            patience=self.patience,
        ) as api:
            try:
                found = api.call(
                    "GET", f"/{self.version}/oauth/access_token", parameters=parameters
                ).body
                named = api.members(found)
            except RequestRefused as refusal:
                raise PermanentFailure(
                    f"{refusal} (asked to exchange the token, which ends soon); check app_id and "
                    "app_secret; a token that has expired is not exchanged, make a new one"
                ) from refusal
        token, life = found.get("access_token"), str(found.get("expires_in") or "")
        if not token:
            raise PermanentFailure(
                f"source {self.place.name}: the exchange of the token gave {named}, expected "
                "access_token"
            )
        self._seen.append(str(token))
        # Without an end it is asked for again in 60 days less a week, as long-lived ones live.
        seconds = int(life) if life.isdecimal() else 60 * 86_400
        return KnownToken(str(token), datetime.now(UTC) + timedelta(seconds=seconds))


def _ends_soon(known: KnownToken) -> bool:
    return known.expires_at is None or known.expires_at < datetime.now(UTC) + _BEFORE_THE_END
