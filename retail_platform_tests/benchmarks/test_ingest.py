"""The benchmark of SQL to Bronze: it loads what it says, and its verdict follows the figures."""

from pathlib import Path

import pytest

from retail_platform.benchmarks.ingest import IngestReport, Rate, run_ingest
from retail_platform.simulator.postgres import postgres_programs
from retail_platform_tests.services import require_service


@pytest.mark.postgres
def test_the_table_is_loaded_and_weighed(tmp_path: Path) -> None:
    """Proves rows, and that memory stays flat; nothing of rates, which need quiet."""
    require_service("postgresql", found=postgres_programs() is not None)
    report = run_ingest(tmp_path, rows=200_000, peer=False)
    assert report.ours.rows == 200_000
    assert report.ours.seconds > 0
    assert report.ours.growth < 300 * 10**6


def rate(seconds: float, growth: int = 0) -> Rate:
    return Rate(rows=1000, seconds=seconds, growth=growth)


@pytest.mark.parametrize(
    ("ours", "peer", "holds"),
    [
        (rate(1), rate(2), True),
        (rate(1.1), rate(2), False),
        (rate(1, 299_000_000), None, True),
        (rate(1, 300_000_000), rate(9), False),
    ],
)
def test_the_verdict(ours: Rate, peer: Rate | None, holds: bool) -> None:
    """Twice dlt's rate and less than 300 MB, no less."""
    assert IngestReport(ours=ours, peer=peer).holds is holds
