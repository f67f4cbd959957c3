"""ODBC drivers that machines have, and connection strings for them."""

import shutil
import subprocess

import sqlalchemy as sa

from retail_platform_tests.services import require_service


def require_driver(name: str, package: str) -> None:
    """Skips the calling test or fixture where unixODBC has no such driver, or fails it."""
    program = shutil.which("odbcinst")
    listed = ""
    if program:
        found = subprocess.run([program, "-q", "-d"], capture_output=True, text=True, check=False)
        listed = found.stdout
    require_service(package, found=f"[{name}]" in listed)


def connection(url: str, **changed: str) -> str:
    """The ODBC connection string of a PostgreSQL URL."""
    at = sa.make_url(url)
    parts = {
        "Driver": "PostgreSQL Unicode",
        "Server": at.host,
        "Port": at.port,
        "Database": at.database,
        "UID": at.username,
        "PWD": at.password,
    } | changed
    return ";".join(f"{name}={_braced(str(value))}" for name, value in parts.items())


def _braced(value: str) -> str:
    """A value as connection strings have it: braces only where a sign needs them."""
    return "{" + value.replace("}", "}}") + "}" if set(value) & set(" ;{}='") else value
