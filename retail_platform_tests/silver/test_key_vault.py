"""The masking key from Azure Key Vault, through the vendor's client, over HTTPS."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import azure.identity
import pytest
from azure.core.credentials import AccessToken, AccessTokenInfo

from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.silver import masking
from retail_platform.silver.masking import masking_key
from retail_platform_tests.silver.key_vault import TOKEN, KeyVault, key_vault

NEVER = 4_000_000_000
KEY = "a key that only the vault knows"


class Nobody:
    """A credential whose token the vault accepts."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken(TOKEN, NEVER)

    def get_token_info(self, *_: str, **__: Any) -> AccessTokenInfo:
        return AccessTokenInfo(TOKEN, NEVER)


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyVault]:
    with key_vault(tmp_path, {"pii-key": KEY, "nothing": ""}) as running:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(running.certificate))
        monkeypatch.setattr(azure.identity, "DefaultAzureCredential", Nobody)
        masking._secret.cache_clear()
        yield running
        masking._secret.cache_clear()


def test_the_key_is_read_once(vault: KeyVault) -> None:
    """Every load of a process asks for it; the vault is asked once."""
    setting = f"keyvault://{vault.address}/pii-key"
    assert [masking_key(setting) for _ in range(3)] == [KEY] * 3
    assert vault.asked == ["/secrets/pii-key/"]


def test_what_the_vault_refuses_names_the_cure(vault: KeyVault) -> None:
    """Missing, empty, forbidden: each says what to do, and none falls back to another key."""
    for name, cure in (("ghost", "does not exist: create it"), ("nothing", "is empty: set it")):
        with pytest.raises(PermanentFailure, match=f"secret {name} of the Key Vault .* {cure}"):
            masking_key(f"keyvault://{vault.address}/{name}")
    vault.refusal = 403
    with pytest.raises(PermanentFailure, match=r"may not be read.*Key Vault Secrets User"):
        masking_key(f"keyvault://{vault.address}/pii-key")


def test_an_untrusted_vault_gets_no_key_accepted(
    vault: KeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its certificate is checked; a vault that cannot be trusted or reached is tried again."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.setattr("azure.core.pipeline.policies.RetryPolicy.sleep", lambda *_: None)
    with pytest.raises(TransientFailure, match=r"cannot be reached.*tried again"):
        masking_key(f"keyvault://{vault.address}/pii-key")
    assert vault.asked == []


def test_the_client_is_imported_only_for_such_a_key() -> None:
    """A plain key costs no import of the vendor's packages."""
    code = (
        "import sys; from retail_platform.silver.masking import masking_key; "
        "assert masking_key('plain') == 'plain'; "
        "assert not [name for name in sys.modules if name.startswith('azure.keyvault')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an optional part of the installation."""
    monkeypatch.setitem(sys.modules, "azure.keyvault.secrets", None)
    with pytest.raises(PermanentFailure, match=r"azure.keyvault.secrets.*uv sync --extra keyvault"):
        masking_key("keyvault://retail/pii-key")
