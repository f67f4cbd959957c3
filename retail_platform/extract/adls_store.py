"""A folder of an ADLS Gen2 container, through the account's Blob endpoint, which every account has.

Belongs here: credentials and what the service's answers mean. Which files belong to an hour is in
`files`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from retail_platform.control.redaction import redact_log
from retail_platform.extract.file_store import CHUNK_BYTES, FoundFile
from retail_platform.extract.http import URLS_LOGGED_BY
from retail_platform.failures import PermanentFailure, TransientFailure

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties, ContainerClient

_DFS = ".dfs."
_TIMEOUT_SECONDS = 30
_RETRIES = 2
_FOLDER = "hdi_isfolder"
"""Metadata by which an account with folders marks those that the Blob endpoint lists as files."""


@dataclass(frozen=True, kw_only=True)
class AdlsAccess:
    """How an account is entered; with neither key nor SAS by the platform's own identity.

    Attributes:
        account_key: Key of the account.
        sas: Shared access signature for the container.
        endpoint: Blob endpoint, where it is another than the account's name says.
    """

    account_key: str | None = field(default=None, repr=False)
    sas: str | None = field(default=None, repr=False)
    endpoint: str | None = None


class AdlsFolder:
    """A folder of a container."""

    def __init__(
        self, root: str, access: AdlsAccess, *, name: str, retries: int = _RETRIES
    ) -> None:
        """Name the folder.

        Args:
            root: ``abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/path``.
            access: How the account is entered.
            name: Source and table in messages.
            retries: How often a request is sent again before it counts as failed.

        Raises:
            PermanentFailure: the root cannot be read.
        """
        parts = urlsplit(root)
        if not parts.username or _DFS not in (parts.hostname or ""):
            raise PermanentFailure(
                f"{name}: the ADLS root names no container or account; expected "
                "abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/path"
            )
        self._container = unquote(parts.username)
        self._host = str(parts.hostname)
        self._root = unquote(parts.path).strip("/")
        self._access = access
        self._name = name
        self._retries = retries
        self._open: ContainerClient | None = None

    @property
    def place(self) -> str:
        """The root."""
        return f"abfss://{self._container}@{self._host}/{self._root}"

    def starting_with(self, stem: str) -> list[FoundFile]:
        """Files whose path begins with ``stem``, of its own folder, by path."""
        from azure.storage.blob import BlobPrefix

        with self._faults():
            blobs = self._client().walk_blobs(self._blob(stem), include=["metadata"])
            found = [
                self._found(blob)
                for blob in blobs
                if not isinstance(blob, BlobPrefix) and _is_file(blob)
            ]
        return sorted(found, key=lambda file: file.path)

    def walk(self) -> Iterator[FoundFile]:
        """Every file below the root, in no order."""
        with self._faults():
            for blob in self._client().list_blobs(self._blob(""), include=["metadata"]):
                if _is_file(blob):
                    yield self._found(blob)

    def stat(self, path: str) -> FoundFile | None:
        """A file; None where there is none."""
        try:
            with self._faults(path):
                return self._found(
                    self._client().get_blob_client(self._blob(path)).get_blob_properties()
                )
        except FileNotFoundError:
            return None

    def chunks(self, path: str) -> Iterator[bytes]:
        """A file's content, piece by piece."""
        with self._faults(path):
            yield from self._client().download_blob(self._blob(path)).chunks()

    def local(self, path: str) -> Path | None:
        """None: every file has to be fetched."""
        del path

    def close(self) -> None:
        """Ends the connections."""
        if self._open is not None:
            self._open.close()
        self._open = None

    def _client(self) -> "ContainerClient":
        if self._open is None:
            from azure.storage.blob import ContainerClient

            redact_log(URLS_LOGGED_BY)
            endpoint = self._access.endpoint or f"https://{self._host.replace(_DFS, '.blob.', 1)}"
            self._open = ContainerClient(
                endpoint,
                self._container,
                self._credential(),
                connection_timeout=_TIMEOUT_SECONDS,
                read_timeout=_TIMEOUT_SECONDS,
                retry_total=self._retries,
                max_single_get_size=CHUNK_BYTES,
                max_chunk_get_size=4 * CHUNK_BYTES,
            )
        return self._open

    def _credential(self) -> Any:  # noqa: ANN401
        if self._access.account_key:
            # Told by name: an endpoint of another form does not tell the account.
            account = self._host.partition(".")[0]
            return {"account_name": account, "account_key": self._access.account_key}
        if self._access.sas:
            return self._access.sas.removeprefix("?")
        from azure.identity import DefaultAzureCredential

        return DefaultAzureCredential()

    def _blob(self, path: str) -> str:
        return f"{self._root}/{path}" if self._root else path

    def _found(self, blob: "BlobProperties") -> FoundFile:
        path = str(blob.name).removeprefix(f"{self._root}/" if self._root else "")
        # A listing gives the tag bare, a look at one file in quotes.
        return FoundFile(path=path, bytes=int(blob.size), stamp=str(blob.etag).strip('"'))

    @contextmanager
    def _faults(self, path: str | None = None) -> Iterator[None]:
        """The service's answers, as what has to be done; their texts may quote signatures."""
        from azure.core import exceptions as azure

        try:
            yield
        except azure.ResourceNotFoundError as error:
            code = getattr(error, "error_code", None)
            if path is not None and code != "ContainerNotFound":
                raise FileNotFoundError(2, "No such file", path) from None
            raise PermanentFailure(
                f"{self._name}: {self.place}: there is no container {self._container}; create it, "
                "or mend the variable that names the root"
            ) from None
        except azure.ClientAuthenticationError as error:
            raise self._refused(error) from None
        except azure.HttpResponseError as error:
            refused = error.status_code in (401, 403)
            raise (self._refused(error) if refused else self._lost(error)) from None
        except (azure.AzureError, TimeoutError, ConnectionError) as error:
            raise self._lost(error) from None
        except ValueError as error:
            # A key that is no base64 is found out by the first signature.
            raise self._refused(error) from None

    def _refused(self, error: Exception) -> PermanentFailure:
        return PermanentFailure(
            f"{self._name}: {self.place} refuses the platform ({_said(error)}); check the variable "
            "that has the key or SAS, or give the platform's identity the role Storage Blob Data "
            "Reader on the container"
        )

    def _lost(self, error: Exception) -> TransientFailure:
        return TransientFailure(
            f"{self._name}: {self.place} cannot be read ({_said(error)}); nothing was committed "
            "and it is tried again; if it goes on, check the account and the way to it"
        )


def _said(error: Exception) -> str:
    """Kind, code and status of an error, without its text."""
    told = [getattr(error, "error_code", None), getattr(error, "status_code", None)]
    return " ".join([type(error).__name__, *(str(part) for part in told if part)])


def _is_file(blob: "BlobProperties") -> bool:
    return (blob.metadata or {}).get(_FOLDER) != "true"
