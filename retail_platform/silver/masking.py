"""How personal values are made comparable before they are masked, and where the key comes from.

Expressions and the key only; which columns are personal is metadata, and clear values are kept by
``pii``.
"""

from functools import cache
from http import HTTPStatus
from importlib import import_module
from urllib.parse import urlsplit

from retail_platform.failures import PermanentFailure, TransientFailure

KEY_VAULT = "keyvault"


def normalised(column: str, kind: str) -> str:
    """SQL of a personal text in the form in which equal ones are equal; empty text is NULL.

    Args:
        column: SQL expression of the text as received.
        kind: ``email``, ``text``: lower case, white space trimmed and single; ``phone``: digits,
            with a leading ``+`` where the number is international (``00`` counts as ``+``).
    """
    bare = f"trim(regexp_replace({column}, '[ \\\\t\\\\r\\\\n]+', ' '))"
    if kind == "phone":
        digits = f"regexp_replace({bare}, '[^0-9]', '')"
        return (
            f"nullif(case when {bare} like '+%' and {digits} <> '' then concat('+', {digits}) "
            f"when {digits} like '00%' then concat('+', substr({digits}, 3)) "
            f"else {digits} end, '')"
        )
    if kind in ("email", "text"):
        return f"nullif(lower({bare}), '')"
    raise ValueError(f"no normal form of {kind}")


def masking_key(setting: str | None) -> str | None:
    """The key that ``RETAIL_PII_KEY`` holds or names.

    Args:
        setting: The key itself, ``keyvault://<vault>/<secret>`` for a secret of Azure Key Vault,
            or None.

    Raises:
        PermanentFailure: the setting names no secret, the Key Vault client is not installed, or
            the vault has no such secret for this identity.
        TransientFailure: the vault cannot be reached.
    """
    if setting is None or not setting.startswith(f"{KEY_VAULT}://"):
        return setting
    return _secret(setting)


@cache
def _secret(url: str) -> str:
    parts = urlsplit(url)
    name = parts.path.strip("/")
    if not parts.netloc or not name or "/" in name:
        raise PermanentFailure(
            f"RETAIL_PII_KEY is {url!r}; expected keyvault://<vault>/<secret>, such as "
            "keyvault://retail-secrets/pii-key."
        )
    try:
        identity = import_module("azure.identity")
        secrets = import_module("azure.keyvault.secrets")
        errors = import_module("azure.core.exceptions")
    except ImportError as error:
        raise PermanentFailure(
            f"RETAIL_PII_KEY names a secret of Azure Key Vault ({url}), and its client is not "
            f"installed ({error.name}): install the platform with its extra keyvault (uv sync "
            "--extra keyvault), or put the key itself into RETAIL_PII_KEY."
        ) from error
    host = parts.netloc if "." in parts.netloc else f"{parts.netloc}.vault.azure.net"
    asked = f"RETAIL_PII_KEY: secret {name} of the Key Vault {host}"
    with (
        identity.DefaultAzureCredential() as credential,
        secrets.SecretClient(vault_url=f"https://{host}", credential=credential) as client,
    ):
        try:
            value = client.get_secret(name).value
        except errors.ResourceNotFoundError as error:
            raise PermanentFailure(
                f"{asked} does not exist: create it there, or correct RETAIL_PII_KEY."
            ) from error
        except errors.ClientAuthenticationError as error:
            raise PermanentFailure(
                f"{asked} cannot be read, nobody is signed in ({_first_line(error)}): sign in "
                "(az login), or give the process an identity (AZURE_CLIENT_ID and so on)."
            ) from error
        except errors.ServiceRequestError as error:
            raise TransientFailure(
                f"{asked} cannot be reached ({_first_line(error)}); it is tried again."
            ) from error
        except errors.HttpResponseError as error:
            if error.status_code != HTTPStatus.FORBIDDEN:
                raise TransientFailure(
                    f"{asked} cannot be read now ({_first_line(error)}); it is tried again."
                ) from error
            raise PermanentFailure(
                f"{asked} may not be read by this identity: give it the role Key Vault Secrets "
                "User on the vault."
            ) from error
    if not value:
        raise PermanentFailure(f"{asked} is empty: set it to the key that masks personal values.")
    return value


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
