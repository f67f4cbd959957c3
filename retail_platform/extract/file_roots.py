"""Opens the root of a files connection: a local folder, an SFTP server or an ADLS container."""

from collections.abc import Callable
from pathlib import Path

from retail_platform.extract.adls_store import AdlsAccess, AdlsFolder
from retail_platform.extract.file_store import FileStore, LocalFolder
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.connections import FilesConnection, FromEnvironment

Value = Callable[[FromEnvironment], str]
"""Reads a variable of the environment; raises where it is not set."""


def open_root(connection: FilesConnection, value: Value, *, name: str) -> FileStore:
    """The store of a connection; nothing is connected before its first use.

    Args:
        connection: The connection.
        value: Reads what the environment holds.
        name: Source and table in messages.

    Raises:
        PermanentFailure: the root is of an unknown kind, or its login is not declared.
    """
    root = value(connection.root)
    kind, separator, _ = root.partition("://")
    if not separator:
        return LocalFolder(Path(root))
    if kind == "sftp":
        return _sftp(root, connection, value, name)
    if kind == "abfss":
        azure = connection.azure
        return AdlsFolder(
            root,
            AdlsAccess(
                account_key=_optional(azure.account_key, value),
                sas=_optional(azure.sas, value),
                endpoint=_optional(azure.endpoint, value),
            ),
            name=name,
        )
    raise PermanentFailure(
        f"{name}: the root in {connection.root.env} is of kind {kind}://; expected a local folder, "
        "sftp://USER@HOST/path or abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/path"
    )


def _sftp(root: str, connection: FilesConnection, value: Value, name: str) -> FileStore:
    # paramiko costs a fifth of a second, and most platforms read no SFTP server.
    from retail_platform.extract.sftp_store import SftpAccess, SftpFolder

    login = connection.sftp
    if login is None:
        raise PermanentFailure(
            f"{name}: the root in {connection.root.env} is an SFTP server; add sftp: {{host_key: "
            "{env: ...}, password: {env: ...}} to the source's connection"
        )
    host_key = login.host_key
    return SftpFolder(
        root,
        SftpAccess(
            host_keys=host_key if isinstance(host_key, str) else value(host_key),
            password=_optional(login.password, value),
            private_key=_optional(login.private_key, value),
            passphrase=_optional(login.passphrase, value),
            timeout=login.timeout.total_seconds(),
        ),
        name=name,
    )


def _optional(setting: FromEnvironment | None, value: Value) -> str | None:
    return None if setting is None else value(setting)
