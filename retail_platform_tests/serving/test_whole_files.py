"""Files that several steps write at the same time are whole, and nothing is left beside them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from retail_platform.serving.whole_files import write_whole


def test_writers_at_the_same_time_leave_one_whole_file(tmp_path: Path) -> None:
    """Each text is long enough to be written in several parts."""
    path = tmp_path / "reports" / "page.html"
    texts = [letter * 300_000 for letter in "abcdefgh"]
    with ThreadPoolExecutor(len(texts)) as pool:
        list(pool.map(lambda text: write_whole(path, text), texts * 5))
    assert path.read_text() in texts
    assert list(path.parent.iterdir()) == [path]
