"""Archives as senders really deliver them: packed, cut, damaged, encrypted, and bombs."""

import gzip
import hashlib
import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from retail_platform.extract.archives import Member, unpack
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.file_delivery import Archive

ROWS = "no,text\n" + "".join(f"{n},line {n}\n" for n in range(5_000))
PLACE = "bronze.drops__receipts, file receipts.zip"


def opened(tmp_path: Path, content: bytes, kind: str, **declared: object) -> list[Member]:
    packed, folder = tmp_path / "packed", tmp_path / "folder"
    packed.write_bytes(content)
    folder.mkdir()
    archive = Archive.model_validate({"kind": kind, **declared})
    return unpack(packed, archive, folder, pattern="*.csv", place=PLACE)


def zipped(members: dict[str, str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_a_gzip_file_is_its_content(tmp_path: Path) -> None:
    """Also in several parts, as appended ones have, and whatever time its head says."""
    content = gzip.compress(ROWS[:900].encode(), mtime=1) + gzip.compress(ROWS[900:].encode())
    (member,) = opened(tmp_path, content, "gzip")
    assert (member.name, member.local.read_text()) == (None, ROWS)
    assert member.sha256 == hashlib.sha256(ROWS.encode()).hexdigest()


def test_members_come_by_name_and_others_are_left_alone(tmp_path: Path) -> None:
    content = zipped(
        {"b/two.csv": "2", "a/one.csv": "1", "READ.me": "x", "__MACOSX/a/._one.csv": "junk"}
    )
    found = opened(tmp_path, content, "zip")
    assert [(member.name, member.local.read_text()) for member in found] == [
        ("a/one.csv", "1"),
        ("b/two.csv", "2"),
    ]


def test_a_member_cannot_leave_its_folder(tmp_path: Path) -> None:
    (member,) = opened(tmp_path, zipped({"../../evil.csv": "x"}), "zip")
    assert member.local.parent == tmp_path / "folder"
    assert not list(tmp_path.parent.glob("evil.csv"))


@pytest.mark.parametrize("kind", ["gzip", "zip"])
@pytest.mark.parametrize("kept", [0, 1, 20, 2_000, -1])
def test_an_archive_that_breaks_off_is_half_written(tmp_path: Path, kind: str, kept: int) -> None:
    whole = gzip.compress(ROWS.encode()) if kind == "gzip" else zipped({"one.csv": ROWS})
    with pytest.raises(TransientFailure, match=r"receipts\.zip: the archive breaks off .* again"):
        opened(tmp_path, whole[:kept], kind)


@pytest.mark.parametrize("kind", ["gzip", "zip"])
def test_a_damaged_archive_is_permanent(tmp_path: Path, kind: str) -> None:
    whole = gzip.compress(ROWS.encode()) if kind == "gzip" else zipped({"one.csv": ROWS})
    middle = len(whole) // 2
    damaged = whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :]
    with pytest.raises(PermanentFailure, match=r"is damaged \(.*\); have the sender deliver"):
        opened(tmp_path, damaged, kind)


@pytest.mark.parametrize("kind", ["gzip", "zip"])
def test_a_file_that_is_no_archive_is_permanent(tmp_path: Path, kind: str) -> None:
    with pytest.raises(PermanentFailure, match="is damaged"):
        opened(tmp_path, ROWS.encode(), kind)


def test_an_encrypted_member_is_named(tmp_path: Path) -> None:
    content = bytearray(zipped({"one.csv": "1"}))
    # The flag of encryption, in the member's head and in the archive's directory.
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(PermanentFailure, match=r"member one\.csv is encrypted; have the sender"):
        opened(tmp_path, bytes(content), "zip")


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("one.csv", "1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("one.csv", "2")
    with pytest.raises(PermanentFailure, match=r"members one\.csv are in it twice"):
        opened(tmp_path, content.getvalue(), "zip")


def test_an_archive_without_the_members_says_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(PermanentFailure, match=r"no member \*\.csv; its members: one\.txt; .*row"):
        opened(tmp_path, zipped({"one.txt": "1"}), "zip")


@pytest.mark.parametrize("kind", ["gzip", "zip"])
def test_a_bomb_is_refused_within_its_bounds(tmp_path: Path, kind: str) -> None:
    """What comes out counts, not what the archive says of itself; memory stays small."""
    zeros = "0" * 50_000_000
    content = gzip.compress(zeros.encode(), 1) if kind == "gzip" else zipped({"one.csv": zeros})
    if kind == "zip":
        # It claims to be ten bytes long.
        place = content.index(b"PK\x01\x02") + 24
        content = content[:place] + (10).to_bytes(4, "little") + content[place + 4 :]
    tracemalloc.start()
    with pytest.raises(PermanentFailure, match=r"more than 5,000,000 bytes|is damaged"):
        opened(tmp_path, content, kind, max_size=5_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    written = sum(file.stat().st_size for file in (tmp_path / "folder").iterdir())
    assert written <= 5_000_000
    assert peak < 20_000_000


def test_members_add_up_to_the_limit(tmp_path: Path) -> None:
    members = {f"{n}.csv": "0" * 400 for n in range(4)}
    with pytest.raises(PermanentFailure, match=r"raise archive: \{max_size"):
        opened(tmp_path, zipped(members), "zip", max_size=1_500)


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        ({"kind": "gzip", "members": "*.csv"}, "members goes with kind: zip"),
        ({"kind": "zip", "max_size": "2x"}, "not a size such as"),
        ({"kind": "rar"}, "'gzip' or 'zip'"),
    ],
)
def test_a_bad_declaration_says_why(archive: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Archive.model_validate(archive)


def test_sizes_have_units() -> None:
    assert Archive.model_validate({"kind": "zip", "max_size": "20m"}).max_size == 20 * 2**20
