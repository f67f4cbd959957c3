"""A stand-in for Azure Key Vault: the one call of its REST API that reads a secret, over HTTPS.

After https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret: without a token it answers
401 and says whom to ask for one; with a token it gives the secret or an error in the vault's form.
"""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from retail_platform.simulator.http_serving import Quiet, running
from retail_platform_tests.platform.certificates import self_signed

TOKEN = "a token of nobody"
ERRORS = {404: "SecretNotFound", 403: "Forbidden", 429: "Throttled"}


@dataclass
class KeyVault:
    """A running vault.

    Attributes:
        address: ``127.0.0.1:<port>``, as ``keyvault://<address>/<secret>`` takes it.
        certificate: Its own certificate, which clients have to trust.
        secrets: Value by name.
        refusal: Status that it answers with in place of a secret; None gives what is there.
        asked: Paths of the authorised requests, in order.
    """

    address: str
    certificate: Path
    secrets: Mapping[str, str]
    refusal: int | None = None
    asked: list[str] = field(default_factory=list)


@contextmanager
def key_vault(folder: Path, secrets: Mapping[str, str]) -> Iterator[KeyVault]:
    """Runs a vault in a thread.

    Args:
        folder: Where its certificate and key are written.
        secrets: Value by name.
    """
    signed = self_signed(folder, "vault")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed.both)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    vault = KeyVault(f"127.0.0.1:{server.server_port}", signed.certificate, secrets)
    _Handler.vaults[server.server_port] = vault
    try:
        with running(server):
            yield vault
    finally:
        del _Handler.vaults[server.server_port]


class _Handler(Quiet, BaseHTTPRequestHandler):
    vaults: dict[int, KeyVault] = {}  # noqa: RUF012 - servers make their handlers themselves

    def do_GET(self) -> None:
        vault = self.vaults[int(str(self.headers["Host"]).rpartition(":")[2])]
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            # Clients take the challenge only from a host below the resource that it names.
            _, _, resource = vault.address.partition(".")
            self.send_response(401)
            self.send_header(
                "WWW-Authenticate",
                'Bearer authorization="https://login.microsoftonline.com/a-tenant", '
                f'resource="https://{resource}"',
            )
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path = self.path.partition("?")[0]
        vault.asked.append(path)
        name = path.removeprefix("/secrets/").strip("/")
        status = vault.refusal or (200 if name in vault.secrets else 404)
        identifier = f"https://{vault.address}/secrets/{name}/1"
        body: dict[str, object] = {"error": {"code": ERRORS.get(status), "message": "refused"}}
        if status == 200:
            body = {"value": vault.secrets[name], "id": identifier, "attributes": {}}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
