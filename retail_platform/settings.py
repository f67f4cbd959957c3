"""Settings: everything that the environment may change, read once, validated and frozen.

Secrets of sources are not here: a source's row names its own environment variable
(``connection: {url: {env: SALES_DB_URL}}``), read when the source is opened.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from retail_platform.failures import PermanentFailure

PREFIX = "RETAIL_"
DEMO_ENVIRONMENT = "demo"
"""File in a demo's state folder: its variables as JSON; empty until its sources have started."""
PACKAGE = Path(__file__).parent
DAY_HOURS = 24


class Engine(StrEnum):
    """The compute engine behind the Spark Connect session."""

    EMBEDDED = "embedded"
    SPARK = "spark"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one deployment.

    Attributes:
        home: State folder: lake, control database, Dagster instance, reports.
        lake_url: Root of the lake: a local folder or an ``abfss://`` URL.
        control_url: SQLAlchemy URL of the control database.
        catalog: Folder of the metadata: ``sources/*.yaml`` and ``contracts/silver/*.yaml``.
        engine: Compute engine.
        engine_url: ``sc://`` URL of a running Spark Connect server; None starts an own engine.
        partitions_start: First hourly partition, aware UTC.
        pii_key: Key of the HMAC that masks personal data; None where no contract masks.
        simulator: Whether the simulator in ``home`` stands in for the sources.
        quiet_hours: First hour of the nightly maintenance and the hour in which it begins no more
            tables, of the day in UTC.
        live: Whether micro-batches of live tables run from the start, without a switch in the UI.
        without_sources: Sources of the catalog that this deployment leaves out: their tables are
            not loaded, and stay empty for those that read them.
    """

    home: Path
    lake_url: str
    control_url: str
    catalog: Path
    engine: Engine
    engine_url: str | None
    partitions_start: datetime
    pii_key: str | None
    simulator: bool
    quiet_hours: tuple[int, int] = (1, 5)
    live: bool = False
    without_sources: frozenset[str] = frozenset()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Reads the ``RETAIL_*`` variables.

        Raises:
            PermanentFailure: a value cannot be read, or a ``RETAIL_*`` variable is unknown.
        """
        home = Path(environ.get("RETAIL_HOME", ".retail_platform")).resolve()
        known = {
            "HOME": str(home),
            "LAKE_URL": str(home / "lake"),
            "CONTROL_URL": f"sqlite:///{home / 'control.db'}",
            "CATALOG": str(PACKAGE / "catalog"),
            "ENGINE": Engine.EMBEDDED.value,
            "ENGINE_URL": "",
            "PARTITIONS_START": "2026-01-01T00:00+00:00",
            "PII_KEY": "",
            "SIMULATOR": "0",
            "QUIET_HOURS": "1-5",
            "LIVE": "0",
            "WITHOUT_SOURCES": "",
        }
        unknown = sorted(
            name
            for name in environ
            if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in known
        )
        if unknown:
            raise PermanentFailure(
                f"Unknown settings {unknown}. Known: {[PREFIX + name for name in known]}."
            )
        value = {name: environ.get(PREFIX + name, default) for name, default in known.items()}
        return cls(
            home=home,
            lake_url=value["LAKE_URL"].rstrip("/"),
            control_url=value["CONTROL_URL"],
            catalog=Path(value["CATALOG"]),
            engine=_engine(value["ENGINE"]),
            engine_url=value["ENGINE_URL"] or None,
            partitions_start=_instant(value["PARTITIONS_START"]),
            pii_key=value["PII_KEY"] or None,
            simulator=_switch("SIMULATOR", value["SIMULATOR"]),
            quiet_hours=_hours(value["QUIET_HOURS"]),
            live=_switch("LIVE", value["LIVE"]),
            without_sources=frozenset(filter(None, value["WITHOUT_SOURCES"].split(","))),
        )


def _engine(text: str) -> Engine:
    try:
        return Engine(text)
    except ValueError as error:
        known = [engine.value for engine in Engine]
        raise PermanentFailure(f"RETAIL_ENGINE is {text!r}; expected one of {known}.") from error


def _switch(name: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise PermanentFailure(f"{PREFIX}{name} is {text!r}; expected 0 or 1.")
    return text == "1"


def _hours(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit() and max(int(first), int(last)) < DAY_HOURS):
        raise PermanentFailure(
            f"RETAIL_QUIET_HOURS is {text!r}; expected two hours of the day in UTC, such as 1-5 or "
            "22-4."
        )
    if int(first) == int(last):
        raise PermanentFailure(f"RETAIL_QUIET_HOURS is {text!r}: from an hour to itself is none.")
    return int(first), int(last)


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise PermanentFailure(
            f"RETAIL_PARTITIONS_START is {text!r}; expected ISO 8601: 2026-01-01T00:00+00:00."
        ) from error
    if instant.tzinfo is None or instant.minute or instant.second:
        raise PermanentFailure(
            f"RETAIL_PARTITIONS_START is {text!r}; expected a full hour with its UTC offset."
        )
    return instant.astimezone(UTC)
