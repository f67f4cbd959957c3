"""How files come: packed, bit by bit, twice, corrected; each content once, and only when whole."""

import gzip
import io
import zipfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retail_platform.control.files import Sighting
from retail_platform.extract.file_store import LocalFolder
from retail_platform.extract.files_reader import FilesReader, file_source
from retail_platform.extract.window import Window
from retail_platform.failures import AwaitedFailure, PermanentFailure, TransientFailure
from retail_platform_tests.platform.box import hour_at
from retail_platform_tests.platform.drops import ENTITY, Drops, drops_catalog
from retail_platform_tests.platform.fixtures import Opener

NewDrops = Callable[..., Drops]
CSV = {"format": "csv"}
HEADER = "no,article,price\n"
FIXED = {
    "format": "fixed_width",
    "fields": [
        {"name": "no", "start": 1, "width": 4},
        {"name": "article", "start": 5, "width": 8},
        {"name": "price", "start": 14, "width": 8},
    ],
}


@pytest.fixture
def new_drops(new_box: Opener, tmp_path: Path) -> NewDrops:
    def build(files: dict[str, Any], **row: Any) -> Drops:
        catalog = drops_catalog(tmp_path / "catalog", files, **row)
        table = catalog.by_entity[ENTITY].row
        ending = table.file_format.extension
        if table.archive:
            ending = table.archive.ending(ending).removeprefix(".")
        return Drops(new_box(catalog), tmp_path / "landing", ending)

    return build


def zipped(**members: bytes | str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "."), text)
    return content.getvalue()


def parquet() -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.table({"no": [1], "article": ["Bread"], "price": [1.5]}), content)
    return content.getvalue()


@pytest.mark.parametrize("archive", ["gzip", "zip"])
@pytest.mark.parametrize(
    ("files", "content"),
    [
        (CSV, f"{HEADER}1,Bread,1.5\n".encode()),
        ({"format": "delimited", "delimiter": "|"}, b"no|article|price\n1|Bread|1.5\n"),
        (FIXED, b"0001Bread        1.50\n"),
        ({"format": "jsonl"}, b'{"no": 1, "article": "Bread", "price": 1.5}\n'),
        ({"format": "parquet"}, parquet()),
    ],
    ids=["csv", "delimited", "fixed_width", "jsonl", "parquet"],
)
def test_every_format_may_be_packed(
    new_drops: NewDrops, archive: str, files: dict[str, Any], content: bytes
) -> None:
    drops = new_drops(files, archive=archive)
    inner = drops.box.catalog.by_entity[ENTITY].row.file_format.extension
    packed = gzip.compress(content) if archive == "gzip" else zipped(**{f"day__{inner}": content})
    name = drops.put(packed)
    assert drops.load().counts.applied == 1
    assert drops.rows() == [(1, "Bread", "1.5000")]
    place = name if archive == "gzip" else f"{name}!day.{inner}"
    assert [row["file_path"] for row in drops.box.live(ENTITY)] == [place]


def test_members_are_files_of_their_own(new_drops: NewDrops) -> None:
    """A bad line names its member, a corrected one replaces its own lines, a twin counts once."""
    drops = new_drops(CSV, archive="zip")
    one, two = f"{HEADER}1,a,1\n2,b,x\n", f"{HEADER}3,c,3\n"
    name = drops.put(zipped(one__csv=one, two__csv=two))
    drops.put(zipped(again__csv=two), addition="_2")
    assert drops.load().counts.read == 3
    assert [row["place"] for row in drops.refused()] == [f"{name}!one.csv line 3"]
    drops.put(zipped(one__csv=f"{HEADER}1,a,9\n", two__csv=two))
    assert drops.load().counts.swept == 0
    assert drops.rows() == [(1, "a", "9.0000"), (3, "c", "3.0000")]


def test_a_half_written_archive_commits_nothing_and_its_rest_completes_the_hour(
    new_drops: NewDrops,
) -> None:
    drops = new_drops(CSV, archive="gzip")
    whole = gzip.compress(f"{HEADER}1,a,1\n2,b,2\n".encode())
    drops.put(whole[:-10])
    with pytest.raises(TransientFailure, match="the archive breaks off"):
        drops.load()
    assert drops.box.stored_bronze(ENTITY) == []
    drops.put(whole)
    assert drops.load().counts.applied == 2


def test_a_gzip_packed_anew_is_the_same_file(new_drops: NewDrops) -> None:
    drops = new_drops(CSV, archive="gzip")
    text = f"{HEADER}1,a,1\n".encode()
    drops.put(gzip.compress(text, mtime=1))
    drops.load()
    drops.put(gzip.compress(text, mtime=2), addition="_again")
    assert drops.load().counts.read == 1
    assert len(drops.box.stored_bronze(ENTITY)) == 1


@pytest.mark.parametrize("times", [1, 2])
def test_a_corrected_file_beside_an_old_duplicate_stays_corrected(
    new_drops: NewDrops, times: int
) -> None:
    """The duplicate has what the correction took back; it is not read at any later run."""
    drops = new_drops(CSV)
    drops.put(f"{HEADER}1,a,1\n2,b,2\n")
    if times == 2:
        drops.put(f"{HEADER}1,a,1\n2,b,2\n", addition="_copy")
    drops.load()
    drops.put(f"{HEADER}1,a,1\n2,b,7\n")
    drops.put(f"{HEADER}1,a,1\n2,b,2\n", addition="_copy")
    for _ in range(3):
        drops.load()
        assert drops.rows() == [(1, "a", "1.0000"), (2, "b", "7.0000")]


def test_a_content_delivered_for_the_wrong_hour_is_read_once_that_is_corrected(
    new_drops: NewDrops,
) -> None:
    """Hour 0 got the file of hour 1, then its own: what repeated it in hour 1 is its content."""
    drops = new_drops(CSV)
    drops.put(f"{HEADER}1,a,1\n")
    drops.load()
    drops.put(f"{HEADER}1,a,1\n", number=1)
    assert drops.load(1).counts.read == 0
    drops.put(f"{HEADER}2,b,2\n")
    drops.load()
    assert drops.load(1).counts.applied == 1
    assert sorted(drops.rows()) == [(1, "a", "1.0000"), (2, "b", "2.0000")]


def test_names_of_unfinished_files_are_ignored(new_drops: NewDrops) -> None:
    drops = new_drops(CSV)
    drops.put(f"{HEADER}1,a,1\n")
    for unfinished in ("csv.part", "csv.tmp", "tmp.csv", "filepart"):
        drops.path().with_suffix(f".{unfinished}").write_text(f"{HEADER}2,b,2\n")
    assert drops.load().counts.read == 1


class Stable:
    """A folder without markers, looked at by readers that know no more than the database does."""

    def __init__(self, drops: Drops) -> None:
        self.drops = drops
        self.table = drops.box.catalog.by_entity[ENTITY]

    def put(self, content: str, number: int = 0) -> Path:
        path = self.drops.path(number)
        path.write_text(content)
        return path

    def age(self, by: timedelta, path: Path) -> None:
        """As if the file had been looked at as it is some time ago."""
        state = path.stat()
        sighting = Sighting(path=path.name, bytes=state.st_size, stamp=str(state.st_mtime_ns))
        self.drops.box.files.look(self.table.bronze, [sighting], datetime.now(UTC) - by)

    def load(self, number: int = 0) -> int:
        return self.drops.load(number).counts.read

    def expect(self, number: int = 0) -> str:
        source = file_source(self.table, LocalFolder(self.drops.root))
        window = Window.of_hour(hour_at(number), buffer=timedelta(0), initial=False)
        with closing(source):
            return FilesReader(source, self.drops.box.files).expect(self.table, window).text


@pytest.fixture
def stable(new_drops: NewDrops) -> Stable:
    return Stable(new_drops(CSV, complete={"by": "stable", "unchanged": "5m"}))


def test_a_file_is_whole_when_two_looks_find_it_alike(stable: Stable) -> None:
    path = stable.put(f"{HEADER}1,a,1\n")
    for _ in range(2):
        with pytest.raises(AwaitedFailure, match=r"waiting for .*\.csv to stay .* 0:05:00"):
            stable.load()
    path.unlink()
    stable.age(timedelta(minutes=6), stable.put(f"{HEADER}1,a,1\n2,b,2\n"))
    assert stable.load() == 2


def test_a_file_that_grew_between_the_looks_begins_anew(stable: Stable) -> None:
    path = stable.put(f"{HEADER}1,a,1\n")
    stable.age(timedelta(minutes=6), path)
    with path.open("a") as file:
        file.write("2,b,2\n")
    with pytest.raises(AwaitedFailure, match=r"it has 29 bytes since"):
        stable.load()
    assert stable.drops.box.stored_bronze(ENTITY) == []


def test_one_file_under_way_holds_the_hour(stable: Stable) -> None:
    path = stable.put(f"{HEADER}1,a,1\n")
    stable.age(timedelta(minutes=6), path)
    path.with_name(f"{path.stem}_2.csv.part").touch()
    with pytest.raises(AwaitedFailure, match=r"waiting for .*_2\.csv\.part, which the sender"):
        stable.load()


def test_an_hour_without_files_is_empty_after_its_time(stable: Stable, new_box: Opener) -> None:
    """The test's hours are long past; one that has just ended is waited for."""
    assert stable.load() == 0
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    source = file_source(stable.table, LocalFolder(stable.drops.root))
    window = Window.of_hour(now - timedelta(hours=1), buffer=timedelta(0), initial=False)
    with closing(source), pytest.raises(AwaitedFailure, match="waiting for a file; without any"):
        FilesReader(source, stable.drops.box.files).read(stable.table, window)


def test_a_dry_run_looks_and_remembers_nothing(stable: Stable) -> None:
    path = stable.put(f"{HEADER}1,a,1\n")
    with pytest.raises(AwaitedFailure, match="waiting for"):
        stable.expect()
    sighting = Sighting(path=path.name, bytes=path.stat().st_size, stamp="x")
    assert stable.drops.box.files.looked(stable.table.bronze, [sighting]) == {}
    stable.age(timedelta(minutes=6), path)
    assert stable.expect() == "1 files, 23 bytes, 0 known"


def test_times_of_stability_go_with_it(tmp_path: Path) -> None:
    with pytest.raises(PermanentFailure, match="unchanged and empty_after go with by: stable"):
        drops_catalog(tmp_path, CSV, complete={"by": "marker", "unchanged": "5m"})
    with pytest.raises(PermanentFailure, match="Input should be 'marker' or 'stable'"):
        drops_catalog(tmp_path, CSV, complete="soon")
