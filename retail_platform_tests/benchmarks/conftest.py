"""What the tests of this area share."""

from retail_platform_tests.platform.fixtures import engine_address

__all__ = ["engine_address"]
