"""The ad platforms as Dagster resources: where they are and with what token. Shapes: `extract`."""

import dagster as dg

from retail_platform.extract.facebook_ads import FacebookAds
from retail_platform.extract.google_ads import GoogleAds
from retail_platform.extract.http import Patience


class FacebookAdsResource(dg.ConfigurableResource[None]):
    """One Facebook ad account.

    Attributes:
        base_url: Such as ``https://graph.facebook.com``.
        token: Access token; give it as ``dg.EnvVar``, so that it stays out of the configuration.
        account: Ad account id, with or without ``act_``.
        attempts: Requests before a fault of the API fails the load.
    """

    base_url: str
    token: str
    account: str
    attempts: int = 5

    def client(self) -> FacebookAds:
        """A client; close it after use."""
        return FacebookAds(
            self.base_url,
            token=self.token,
            account=self.account,
            patience=Patience(attempts=self.attempts),
        )


class GoogleAdsResource(dg.ConfigurableResource[None]):
    """One Google Ads customer.

    Attributes:
        base_url: Such as ``https://googleads.googleapis.com``.
        token: OAuth access token; give it as ``dg.EnvVar``.
        developer_token: Developer token; give it as ``dg.EnvVar``.
        customer: Customer id, with or without dashes.
        attempts: Requests before a fault of the API fails the load.
    """

    base_url: str
    token: str
    developer_token: str
    customer: str
    attempts: int = 5

    def client(self) -> GoogleAds:
        """A client; close it after use."""
        return GoogleAds(
            self.base_url,
            token=self.token,
            developer_token=self.developer_token,
            customer=self.customer,
            patience=Patience(attempts=self.attempts),
        )
