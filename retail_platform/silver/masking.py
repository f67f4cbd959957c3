"""How personal values are made comparable before they are masked, and where the key comes from.

Expressions and the key only; which columns are personal is metadata, and clear values are kept by
``pii``.
"""

from functools import cache
from importlib import import_module
from urllib.parse import urlsplit

from retail_platform.failures import PermanentFailure

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
        PermanentFailure: the setting names no secret, or the Key Vault client is not installed.
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
    except ImportError as error:
        raise PermanentFailure(
            f"RETAIL_PII_KEY names a secret of Azure Key Vault ({url}), and the package "
            f"{_package(error.name)} is not installed: install it beside the platform (uv pip "
            f"install {_package(error.name)}), or put the key itself into RETAIL_PII_KEY."
        ) from error
    host = parts.netloc if "." in parts.netloc else f"{parts.netloc}.vault.azure.net"
    client = secrets.SecretClient(
        vault_url=f"https://{host}", credential=identity.DefaultAzureCredential()
    )
    return client.get_secret(name).value


def _package(module: str | None) -> str:
    return "azure-identity" if module == "azure.identity" else "azure-keyvault-secrets"
