"""Each load type and merge mode through random lives, against plain Python, in all four places."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from retail_platform.metadata.loader import Catalog
from retail_platform_tests.silver.histories import MODES, Cut, Life, Step, live_through
from retail_platform_tests.silver.modes import modes_catalog
from retail_platform_tests.silver.test_any_order import (
    History,
    file_reads,
    partial_reads,
    slice_reads,
    undated_reads,
    whole_reads,
    with_deletions,
)
from retail_platform_tests.silver.test_replay import WIDER

EXAMPLES = int(os.environ.get("HISTORIES", "2"))
"""Lives of each mode; set HISTORIES to search longer."""
READS: dict[str, st.SearchStrategy[History]] = {
    "contacts": partial_reads(),
    "prices": partial_reads(),
    "members": with_deletions(partial_reads()),
    "fees": with_deletions(partial_reads()),
    "guests": undated_reads(),
    "shelf": whole_reads(),
    "bins": with_deletions(whole_reads()),
    "regions": whole_reads(),
    "rates": whole_reads(again=True),
    "archive": whole_reads(),
    "spend": slice_reads(),
    "receipts": file_reads(),
}
cuts = st.one_of(
    st.none(), st.none(), st.builds(Cut, write=st.integers(1, 5), before=st.booleans())
)


@st.composite
def lives(draw: st.DrawFn, reads: st.SearchStrategy[History]) -> Life:
    """A life around the reads of a history."""
    history = draw(reads)
    drift_from = draw(st.integers(0, 2 * len(history.reads)))
    steps: list[Step] = []
    seen: list[int] = []
    for number, (read, rows) in enumerate(history.reads):
        frozen = tuple(tuple(row.items()) for row in rows)
        steps.append(Step(read, frozen, drifted=number >= drift_from, cut=draw(cuts)))
        seen.append(read)
        # Some hours are processed while others have not been read, or will be read again.
        early = draw(st.lists(st.sampled_from(seen), max_size=2))
        steps += [Step(hour, cut=draw(cuts)) for hour in early]
    for hour in history.order:
        cut = draw(cuts)
        steps.append(Step(hour, cut=cut))
        if cut is not None:
            steps.append(Step(hour))
    again = draw(st.lists(st.sampled_from(seen), max_size=2))
    return Life(tuple(steps), draw(st.booleans()), tuple(again))


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The catalog of the modes."""
    return modes_catalog(tmp_path_factory.mktemp("strict"))


@pytest.fixture(scope="module")
def relaxed(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The same with a wider rule."""
    return modes_catalog(tmp_path_factory.mktemp("relaxed"), rules=WIDER, version="1.1.0")


@pytest.mark.parametrize("entity", MODES)
def test_bronze_silver_quarantine_and_ledger_agree_with_plain_python(
    strict: Catalog, relaxed: Catalog, engine_address: str, entity: str
) -> None:
    """Late and equal events, deletions, returns, NULLs, drift, cut loads, re-runs and replays."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate] if EXAMPLES < 10 else [Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(life=lives(READS[entity]))
    def agree(life: Life) -> None:
        with tempfile.TemporaryDirectory() as folder:
            live_through(
                Path(folder),
                entity,
                life,
                strict=strict,
                relaxed=relaxed,
                address=engine_address,
            )

    agree()
