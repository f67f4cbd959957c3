"""OAuth 2.0 access tokens (RFC 6749) that are asked for when needed and renewed when they expire.

Belongs here: grants that need no person, client credentials and refresh tokens. Not here: what the
token opens.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from retail_platform.extract.closing import Closing
from retail_platform.extract.http import JsonApi, Patience, RequestRefused
from retail_platform.failures import PermanentFailure

_EARLY_SECONDS = 30.0
_DEFAULT_LIFE_SECONDS = 3600.0


@dataclass(kw_only=True)
class OAuthToken(Closing):
    """The access token of one grant; an `Authorization` of `JsonApi`.

    Attributes:
        url: The token endpoint.
        grant: Parameters of the grant, such as ``grant_type``, ``client_id``, ``client_secret``.
        name: The source in messages.
        patience: How long to try.
    """

    url: str
    grant: Mapping[str, str] = field(repr=False)
    name: str
    patience: Patience = field(default_factory=Patience)
    _token: str | None = field(init=False, repr=False, default=None)
    _expires: float = field(init=False, repr=False, default=0.0)
    _given: tuple[str, ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        """Prepare the token endpoint."""
        self._api = JsonApi(
            base_url=self.url,
            name=self.name,
            headers={"Accept": "application/json"},
            secrets=self._own_secrets,
            patience=self.patience,
        )

    @classmethod
    def client_credentials(
        cls,
        url: str,
        *,
        client_id: str,
        client_secret: str,
        scope: str | None,
        name: str,
        patience: Patience | None = None,
    ) -> "OAuthToken":
        """The token of a program that acts for itself (section 4.4)."""
        grant = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
        return cls(
            url=url,
            grant=grant | ({"scope": scope} if scope else {}),
            name=name,
            patience=patience or Patience(),
        )

    @classmethod
    def refresh_token(
        cls,
        url: str,
        *,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        name: str,
        patience: Patience | None = None,
    ) -> "OAuthToken":
        """The token of a person who has agreed once and for all (section 6)."""
        grant = {
            "grant_type": "refresh_token",
            "client_id": client_id,
            "client_secret": client_secret,
            "refresh_token": refresh_token,
        }
        return cls(url=url, grant=grant, name=name, patience=patience or Patience())

    @property
    def secrets(self) -> tuple[str, ...]:
        """Secrets of the grant and every token that was given."""
        return (*self._own_secrets, *self._given)

    @property
    def _own_secrets(self) -> tuple[str, ...]:
        public = ("grant_type", "client_id", "scope")
        return tuple(value for name, value in self.grant.items() if name not in public)

    def headers(self) -> Mapping[str, str]:
        """The token as a header; a new one shortly before the old one expires.

        Raises:
            TransientFailure: the token endpoint does not answer.
            PermanentFailure: it refuses the grant, or its answer has no token.
        """
        if self._token is None or time.monotonic() >= self._expires:
            self._renew()
        return {"Authorization": f"Bearer {self._token}"}

    def refused(self) -> bool:
        """Take a new token in place of the refused one: it may have been called back.

        Raises:
            TransientFailure: the token endpoint does not answer.
            PermanentFailure: it refuses the grant, or its answer has no token.
        """
        self._renew()
        return True

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def _renew(self) -> None:
        try:
            answer = self._api.call("POST", "", form=self.grant).body
        except RequestRefused as refusal:
            raise PermanentFailure(
                f"{refusal} (asked for an access token, grant {self.grant['grant_type']}); check "
                "client id, client secret and scope, and whether a refresh token has expired or "
                "was withdrawn"
            ) from refusal
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise PermanentFailure(
                f"source {self.name}: the token endpoint answered without access_token; found "
                f"{self._api.members(answer)}; check the token URL"
            )
        self._token = token
        self._given = (*self._given, token)
        life = str(answer.get("expires_in") or _DEFAULT_LIFE_SECONDS)
        seconds = float(life) if life.replace(".", "", 1).isdecimal() else _DEFAULT_LIFE_SECONDS
        # A token that lives less than the margin is used once; a refusal renews it.
        self._expires = time.monotonic() + max(seconds - _EARLY_SECONDS, seconds / 2)
