"""The hash by which rows are told apart: what it is made of, and nothing else.

Pure Arrow and numpy. It tells rows apart and defends against nobody: who could make two rows of one
hash could as well write the row that is wanted.
"""

import hashlib
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_128_digest

Words: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.uint64]]"
Frames: TypeAlias = "np.ndarray[tuple[int, int], np.dtype[np.uint64]]"

DIGEST_BYTES = 16
FRAME_WORDS = 2
"""Words of 64 bits by which a row is framed."""
TABLED_LENGTHS = 4096
"""Texts shorter than this find their mark in a table; longer ones are rare, and worth a search."""
_BY_VALUE = (pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.date32(), pa.bool_())
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
"""Shifts and factors of SplitMix64's finalizer (Steele, Lea, Flood: "Fast splittable pseudorandom
number generators", OOPSLA 2014), in which each bit of a word moves about half of the bits."""
_LAST_SHIFT = 31
_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint16)


def row_hashes(batch: pa.RecordBatch) -> pa.Array:
    """XXH3-128 of each row, as 32 hexadecimal digits.

    What is hashed is the row's texts behind a frame. Into the frame goes, by the column's name, the
    value of each whole number, moment, day and truth value, and of everything else the length of
    its text; so neither moving text between columns nor a separator inside a text makes two rows
    equal, and NULL, which adds nothing, differs from the empty text. Columns enter sorted by name:
    their order in the source does not matter, and an added column that is NULL leaves the hash of
    old rows as it was.

    Measured on ten columns, six of them numbers and moments: 0.27 us a row, where the texts of all
    of them took 0.54 us, and a cryptographic hash over name, length and text of each column 1.5 us,
    more than reading the row.
    """
    rows = batch.num_rows
    if rows == 0:
        return pa.array([], pa.string())
    frames = [np.zeros(rows, np.uint64) for _ in range(FRAME_WORDS)]
    texts: list[pa.Array] = []
    for name in sorted(batch.schema.names):
        column = batch.column(name)
        if column.null_count == rows:
            continue
        if pa.types.is_signed_integer(column.type) or column.type in _BY_VALUE:
            marks = _marks_of_values(name, column)
        else:
            texts.append(column.cast(pa.string()).cast(pa.binary()))
            marks = _marks_of_lengths(name, pc.binary_length(texts[-1]))
        for frame, mark in zip(frames, marks, strict=True):
            np.add(frame, mark, out=frame)
    return _as_hexadecimal(_digests(np.stack(frames, axis=1), texts))


def _digests(frames: Frames, texts: list[pa.Array]) -> bytes:
    framed = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(frames.itemsize * FRAME_WORDS), len(frames), [None, pa.py_buffer(frames)]
    ).cast(pa.binary())
    rows = pc.binary_join_element_wise(
        framed, *texts, b"", null_handling="replace", null_replacement=b""
    )
    return b"".join(map(xxh3_128_digest, rows.to_pylist()))


def _as_hexadecimal(digests: bytes) -> pa.Array:
    digits = _HEX[np.frombuffer(digests, np.uint8)]
    ends = np.arange(0, digits.nbytes + 1, 2 * DIGEST_BYTES, dtype=np.int32)
    return pa.StringArray.from_buffers(len(ends) - 1, pa.py_buffer(ends), pa.py_buffer(digits))


def _marks_of_values(name: str, column: pa.Array) -> list[Words]:
    """What a column of fixed width adds to the frame of each row, by name and value."""
    if pa.types.is_date32(column.type):
        # Arrow casts days to 32 bits only.
        column = column.cast(pa.int32())
    values = column.cast(pa.int64()).fill_null(0).to_numpy().view(np.uint64)
    marks = [_mixed(values + seed) for seed in _seeds(f"value {name}")]
    if column.null_count:
        present = column.is_valid().to_numpy(zero_copy_only=False)
        return [mark * present for mark in marks]
    return marks


def _mixed(words: Words) -> Words:
    for shift, factor in _MIX:
        words ^= words >> np.uint64(shift)
        words *= np.uint64(factor)
    words ^= words >> np.uint64(_LAST_SHIFT)
    return words


def _marks_of_lengths(name: str, lengths: pa.Array) -> list[Words]:
    """The same of a column of texts, by name and length; nothing for NULL."""
    places = lengths.fill_null(-1).to_numpy(zero_copy_only=False) + 1
    longest = int(places.max())
    if longest < TABLED_LENGTHS:
        table = _table_of_marks(name, 1 << longest.bit_length())
    else:
        different, places = np.unique(places, return_inverse=True)
        table = _columns([_mark(name, int(place)) for place in different])
    return [column[places] for column in table]


@lru_cache(maxsize=1024)
def _table_of_marks(name: str, size: int) -> list[Words]:
    return _columns([_mark(name, place) for place in range(size)])


def _columns(marks: list[Words]) -> list[Words]:
    return list(np.ascontiguousarray(np.stack(marks).T))


def _mark(name: str, place: int) -> Words:
    return np.zeros(FRAME_WORDS, np.uint64) if place == 0 else _seeds(f"{place} {name}")


@lru_cache(maxsize=1024)
def _seeds(text: str) -> Words:
    digest = hashlib.blake2b(text.encode(), digest_size=8 * FRAME_WORDS).digest()
    return np.frombuffer(digest, np.uint64)
