"""Values of one Arrow type as another one, without loss; what does not fit is explained.

Types of a table are frozen: a later delivery with other types is read as the stored ones, value by
value. Not here: the types of contracts, which Silver casts to.
"""

import json

import pyarrow as pa
import pyarrow.compute as pc

LINE_META = pa.schema([("_line", pa.int64()), ("_parse_error", pa.string()), ("_raw", pa.string())])
"""What every row of a file has beside its columns."""
_MICROSECONDS = pa.timestamp("us")


def landed_type(received: pa.DataType) -> pa.DataType:
    """The type in which Bronze keeps a value of a file: wide, and one that Delta has.

    Whole numbers are 64 bits wide, fractions double, moments in microseconds (with zone: in UTC);
    nested values and all that has no such type are text, JSON where nested, digits where binary.
    """
    is_ = pa.types
    if is_.is_dictionary(received):
        return landed_type(received.value_type)
    if is_.is_uint64(received):
        return pa.decimal128(20, 0)
    if is_.is_integer(received):
        return pa.int64()
    if is_.is_floating(received):
        return pa.float64()
    if is_.is_timestamp(received):
        return pa.timestamp("us", "UTC" if received.tz else None)
    if is_.is_null(received) or is_.is_boolean(received):
        return received
    if is_.is_date32(received) or is_.is_decimal128(received):
        return received
    return pa.date32() if is_.is_date(received) else pa.string()


def fitted(array: pa.Array, target: pa.DataType, *, read_texts: bool = False) -> pa.Array:
    """The array as ``target``; NULL where a value would be rounded, cut or would mean another.

    Args:
        array: Values as received.
        target: The type to give them.
        read_texts: Whether a text is read as the value that is written exactly so.
    """
    if array.type == target:
        return array
    if pa.types.is_dictionary(array.type):
        return fitted(array.dictionary_decode(), target, read_texts=read_texts)
    if pa.types.is_string(target):
        return _as_text(array)
    castable = _castable(array.type) or (read_texts and pa.types.is_string(array.type))
    if _differ_in_zone(array.type, target) or not castable:
        return pa.nulls(len(array), target)
    if pa.types.is_timestamp(array.type) and pa.types.is_timestamp(target):
        return array.cast(target, safe=False)  # Below a microsecond nothing is kept.
    try:
        whole = array.cast(target)
        if pc.all(pc.equal(whole.cast(array.type), array), min_count=0).as_py() is not False:
            return whole
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        # Some value does not fit: which, only each of them alone tells.
        pass
    return pa.array([_one(value, array.type, target) for value in array], target)


def fit_batch(
    batch: pa.RecordBatch, schema: pa.Schema, *, read_texts: bool = False
) -> pa.RecordBatch:
    """A batch with the types of ``schema``, columns that it lacks as NULL.

    A value that does not fit becomes NULL; its row says so in ``_parse_error`` and keeps all of its
    values, as JSON, in ``_raw``.
    """
    columns: dict[str, pa.Array] = {}
    misfits: dict[int, list[str]] = {}
    for field in schema:
        if field.name not in batch.schema.names:
            columns[field.name] = pa.nulls(batch.num_rows, field.type)
            continue
        received = batch.column(field.name)
        columns[field.name] = fitted(received, field.type, read_texts=read_texts)
        lost = pc.and_(pc.is_valid(received), pc.is_null(columns[field.name]))
        for row in pc.indices_nonzero(lost).to_pylist() if pc.any(lost).as_py() else ():
            value = str(received[row].as_py())[:60]
            misfits.setdefault(row, []).append(
                f"column {field.name}: {value!r} is {received.type}, stored as {field.type}"
            )
    columns |= _explained(batch, misfits)
    return pa.RecordBatch.from_arrays([columns[field.name] for field in schema], schema=schema)


def _explained(batch: pa.RecordBatch, misfits: dict[int, list[str]]) -> dict[str, pa.Array]:
    if not misfits:
        return {}
    present = [name for name in LINE_META.names if name in batch.schema.names]

    def kept(name: str) -> list[str | None]:
        return batch.column(name).to_pylist() if name in present else [None] * batch.num_rows

    errors, raw = kept("_parse_error"), kept("_raw")
    values = batch.drop_columns(present)
    for row, found in misfits.items():
        errors[row] = "; ".join([*filter(None, [errors[row]]), *found])
        raw[row] = raw[row] or _json(values.slice(row, 1).to_pylist()[0])
    return {"_parse_error": pa.array(errors, pa.string()), "_raw": pa.array(raw, pa.string())}


def _as_text(array: pa.Array) -> pa.Array:
    if pa.types.is_nested(array.type) or pa.types.is_binary(array.type):
        texts = [None if value is None else _json(value) for value in array.to_pylist()]
        return pa.array(texts, pa.string())
    if pa.types.is_large_binary(array.type) or pa.types.is_fixed_size_binary(array.type):
        return _as_text(array.cast(pa.binary()))
    return array.cast(pa.string())


def _castable(received: pa.DataType) -> bool:
    """Text is never read as a number here: what it means is the contract's to say."""
    textual = pa.types.is_string(received) or pa.types.is_large_string(received)
    return not (textual or pa.types.is_nested(received) or pa.types.is_binary(received))


def _differ_in_zone(received: pa.DataType, target: pa.DataType) -> bool:
    both = pa.types.is_timestamp(received) and pa.types.is_timestamp(target)
    return both and (received.tz is None) != (target.tz is None)


def _one(value: pa.Scalar, received: pa.DataType, target: pa.DataType) -> object:
    if not value.is_valid:
        return None
    try:
        cast = pa.array([value.as_py()], received).cast(target)
        same = cast.cast(received)[0].as_py() == value.as_py()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        # NULL where a value came: the caller refuses its row, and keeps the value as it came.
        return None
    return cast[0].as_py() if same else None


def _json(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
