"""The ad platforms as Dagster resources: where they are and with what token. Shapes: `extract`."""

from collections.abc import Callable

import dagster as dg

from retail_platform.extract.account import Account
from retail_platform.extract.facebook_ads import FacebookAds
from retail_platform.extract.facebook_reports import Polling
from retail_platform.extract.facebook_token import FacebookToken, TokenPlace
from retail_platform.extract.google_ads import TOKEN_URL, GoogleAds
from retail_platform.extract.http import Patience
from retail_platform.extract.oauth import OAuthToken
from retail_platform.metadata.ads import GaqlReport, InsightsReport


class AdsResource(dg.ConfigurableResource[None]):
    """What the accounts of all ad platforms have in common.

    Attributes:
        base_url: Where the API is.
        name: The source in messages.
        attempts: Requests before a fault of the API fails the load.
        backoff: Seconds before the second request; doubled each time.
        longest_wait: Seconds beyond which a wait is left to a later run.
    """

    base_url: str
    name: str
    attempts: int = 5
    backoff: float = 0.5
    longest_wait: float = 60.0

    @property
    def patience(self) -> Patience:
        """How long a request is tried."""
        return Patience(
            attempts=self.attempts, backoff=self.backoff, longest_wait=self.longest_wait
        )


Budget = Callable[[], None]
"""Called before every request; raises where none may be sent."""


class FacebookAdsResource(AdsResource):
    """One Facebook ad account.

    Attributes:
        base_url: Where the API is, such as ``https://graph.facebook.com``.
        token: Access token, or ``file:`` and the path of a file that holds it; give it as
            ``dg.EnvVar``, so that it stays out of the configuration.
        account: Ad account id, with or without ``act_``.
        app_id: Id of the app that the token was given to.
        app_secret: Its secret; give it as ``dg.EnvVar``. With both a token in a file is exchanged
            a week before it ends.
        version: Version of the API.
    """

    token: str
    account: str
    app_id: str | None = None
    app_secret: str | None = None
    version: str = "v25.0"
    name: str = "facebook_ads"

    def client(
        self,
        report: InsightsReport | None = None,
        *,
        expected: Account | None = None,
        budget: Budget | None = None,
    ) -> FacebookAds:
        """A client; close it after use.

        Args:
            report: What is asked for.
            expected: Zone and currency that metadata gives the account.
            budget: Limit of calls.
        """
        app = (self.app_id, self.app_secret) if self.app_id and self.app_secret else None
        return FacebookAds(
            FacebookToken(
                place=TokenPlace(self.token, self.name),
                base_url=self.base_url,
                version=self.version,
                app=app,
                patience=self.patience,
            ),
            account=self.account,
            report=report,
            expected=expected,
            budget=budget,
            patience=self.patience,
            polling=Polling(first=2 * self.backoff),
        )


class GoogleAdsResource(AdsResource):
    """One Google Ads customer.

    Attributes:
        base_url: Such as ``https://googleads.googleapis.com``.
        refresh_token: OAuth refresh token; give it as ``dg.EnvVar``.
        client_id: Id of the OAuth client.
        client_secret: Its secret; give it as ``dg.EnvVar``.
        developer_token: Developer token; give it as ``dg.EnvVar``.
        customer: Customer id, with or without dashes.
        login_customer: Manager account through which the customer is reached.
        token_url: Where access tokens are given.
        version: Version of the API.
    """

    refresh_token: str
    client_id: str
    client_secret: str
    developer_token: str
    customer: str
    login_customer: str | None = None
    token_url: str = TOKEN_URL
    version: str = "v25"
    name: str = "google_ads"

    def client(
        self,
        report: GaqlReport,
        *,
        expected: Account | None = None,
        budget: Budget | None = None,
    ) -> GoogleAds:
        """A client; close it after use.

        Args:
            report: What is asked for.
            expected: Zone and currency that metadata gives the customer.
            budget: Limit of calls.
        """
        return GoogleAds(
            self.base_url,
            authorization=OAuthToken.refresh_token(
                self.token_url,
                client_id=self.client_id,
                client_secret=self.client_secret,
                refresh_token=self.refresh_token,
                name=self.name,
                patience=self.patience,
            ),
            developer_token=self.developer_token,
            customer=self.customer,
            report=report,
            version=self.version,
            login_customer=self.login_customer,
            expected=expected,
            budget=budget,
            patience=self.patience,
            name=self.name,
        )
