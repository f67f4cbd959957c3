"""Stock counts: hours, markers, and counts that follow the books."""

import gzip
from pathlib import Path

from retail_platform.simulator.simulator import Simulator
from retail_platform.simulator.stock_counts import COUNTS_AN_HOUR, FOLDER, relative_path
from retail_platform_tests.simulator.conftest import HOUR


def test_most_counts_are_as_the_books_have_it(simulator: Simulator) -> None:
    hours = [simulator.start + n * HOUR for n in range(20)]
    counts = [c for hour in hours for c in simulator.stock_counts.counts(hour, simulator.log)]
    assert len({count.number for count in counts}) == len(counts) == 20 * COUNTS_AN_HOUR
    off, illegible = [], 0
    for hour in hours:
        books = simulator.log.state("stock_levels", hour + HOUR)
        for count in simulator.stock_counts.counts(hour, simulator.log):
            assert hour <= count.at < hour + HOUR
            if count.counted is None:
                illegible += 1
                continue
            book = int(books[count.product_id, count.location_id]["quantity"] or 0)
            off.append(count.counted - book)
    assert 0 < illegible < 20
    assert 0.7 < off.count(0) / len(off) < 0.95
    assert all(-3 <= difference <= 2 for difference in off)


def test_every_closed_hour_has_a_file_and_a_marker(simulator: Simulator, tmp_path: Path) -> None:
    feed, start = simulator.stock_counts, simulator.start
    assert feed.drop(tmp_path, simulator.log, after=start, until=start + 3 * HOUR) == 3
    assert feed.drop(tmp_path, simulator.log, after=start, until=start + 3 * HOUR) == 0
    for number in range(3):
        path = tmp_path / FOLDER / relative_path(start + number * HOUR)
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        assert lines[1:] == [
            count.line for count in feed.counts(start + number * HOUR, simulator.log)
        ]
        assert path.with_name(path.name.replace(".csv.gz", ".done")).exists()


def test_without_a_server_the_source_is_left_out(simulator: Simulator) -> None:
    environment = simulator.environment("http://x", "http://x", "postgresql://x", None)
    assert "warehouse" in environment["RETAIL_WITHOUT_SOURCES"].split(",")
    assert not [name for name in environment if name.startswith("WAREHOUSE")]
