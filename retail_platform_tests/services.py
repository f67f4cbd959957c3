"""Services that a machine may lack: their tests are skipped there, and fail where they must run.

`.ci/run` installs every service and sets `PLATFORM_REQUIRE_SERVICES=1`.
"""

import os
import shutil

import pytest

REQUIRE = "PLATFORM_REQUIRE_SERVICES"


def require_service(name: str, *, found: bool) -> None:
    """Skips the calling test or fixture where a service is missing, or fails it if it is required.

    Args:
        name: What is missing, as its Debian package is called.
        found: Whether it is there.
    """
    if found:
        return
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{name} is not installed, but {REQUIRE}=1 asks for it")
    pytest.skip(f"{name} is not installed")


def java_is_installed() -> bool:
    """Whether Spark would find a Java: by `JAVA_HOME`, otherwise on the `PATH`."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=f"{home}/bin" if home else None) is not None


def chromium() -> str | None:
    """The path of a Chromium, if there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser")
