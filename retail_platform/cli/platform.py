"""The platform as a command finds it: settings, metadata, control database and, if asked, a lake.

In the state folder of a demo the demo's own sources and keys count, except where the environment
names others.
"""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from retail_platform.control.resource import ControlResource
from retail_platform.lakehouse.resource import LakehouseResource
from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform.settings import DEMO_ENVIRONMENT, Settings


@dataclass(frozen=True)
class Platform:
    """What commands work with.

    Attributes:
        settings: Settings of this environment.
    """

    settings: Settings

    @classmethod
    def here(cls) -> "Platform":
        """The platform that the environment, or the demo in its state folder, describes.

        Raises:
            PermanentFailure: a ``RETAIL_*`` variable is unknown or wrong.
        """
        marker = Settings.from_environment().home / DEMO_ENVIRONMENT
        if marker.exists() and marker.stat().st_size:
            for name, value in json.loads(marker.read_text("utf-8")).items():
                os.environ.setdefault(name, value)
        return cls(Settings.from_environment())

    @cached_property
    def catalog(self) -> Catalog:
        """All tables."""
        return load_catalog(self.settings.catalog, without=self.settings.without_sources)

    @cached_property
    def control(self) -> ControlResource:
        """The control database: ledger, files, requests."""
        return ControlResource.of(self.settings)

    @contextmanager
    def quietly(self) -> Generator[None, None, None]:
        """Sends what steps print to ``steps.log`` of the state folder: stdout is the command's."""
        self.settings.home.mkdir(parents=True, exist_ok=True)
        with (self.settings.home / "steps.log").open("a") as log, redirect_stdout(log):
            yield

    @contextmanager
    def lakehouse(self) -> Generator[LakehouseResource, None, None]:
        """The lake through an engine of its own, as a run opens it."""
        with LakehouseResource.of(self.settings).opened() as lakehouse:
            yield lakehouse


def last_loaded(platform: Platform) -> datetime | None:
    """The newest hour (aware UTC) of which any Silver table was loaded; None without any."""
    hours = [
        hour
        for table in platform.catalog.tables
        for hour in platform.control.ledger.succeeded_hours(f"silver/{table.entity}")[-1:]
    ]
    return max(hours, default=None)
