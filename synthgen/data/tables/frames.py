"""Columns that come with types: of Parquet files and of pandas DataFrames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.arrays import check_claim
from synthgen.data.tables.raw import Column, RawTable, TextColumn, TypedColumn
from synthgen.data.tables.text import MAX_COLUMNS, column_names
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    import pandas as pd

_BATCH = 65_536


def pyarrow_parquet() -> Any:
    """pyarrow.parquet. Raises SynthgenError naming the extra that it needs."""
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise SynthgenError("Parquet needs the extra parquet", 'pip install "synthgen[parquet]"') from error
    return pyarrow.parquet


def read_parquet_table(path: Path, should_stop: ShouldStop = never_stop) -> RawTable:
    """All columns of a Parquet file. Raises UsageError for a damaged file or a column of lists and the like."""
    parquet = pyarrow_parquet()
    import pyarrow

    try:
        with parquet.ParquetFile(path) as file:
            metadata, schema = file.metadata, file.schema_arrow
            claimed = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
            check_claim(str(path), max(claimed, metadata.num_rows), path.stat().st_size)
            names = column_names(str(path), list(schema.names))
            columns = []
            for name, label in zip(names, schema.names, strict=True):
                if should_stop():
                    raise StoppedError(f"stopped while reading {path}")
                columns.append(from_arrow(str(path), name, file.read(columns=[label]).column(0)))
            count = metadata.num_rows
    except (OSError, pyarrow.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{path} is not a readable Parquet file: {reason}", "Is the download complete?") from error
    if not count or not columns:
        raise UsageError(f"{path} has no {'columns' if count else 'rows'}")
    form: dict[str, Any] = {"kind": "parquet"}
    if list(names) != list(schema.names):
        form["header"] = list(schema.names)
    return RawTable(str(path), tuple(columns), count, form)


def from_arrow(table: str, name: str, values: Any) -> Column:
    """A column of pyarrow (ChunkedArray). Raises UsageError for a type that is no single value."""
    import pyarrow
    from pyarrow import compute, types

    kind = values.type
    dtype = str(kind)
    if types.is_dictionary(kind):
        if not _is_text(kind.value_type):
            return from_arrow(table, name, values.cast(kind.value_type))
        return _texts(name, values.unify_dictionaries(), dtype, {"ordered": True} if kind.ordered else {})
    if _is_text(kind):
        return _texts(name, values.dictionary_encode(), dtype, {})
    missing = compute.is_null(values).to_numpy(zero_copy_only=False).astype(bool)
    if types.is_null(kind):
        return TypedColumn(name, np.zeros(len(values)), np.ones(len(values), bool), dtype)
    if types.is_boolean(kind) or types.is_integer(kind):
        plain = values.fill_null(False if types.is_boolean(kind) else 0)
        numbers = plain.to_numpy(zero_copy_only=False)
        if numbers.dtype.kind == "b":
            return TypedColumn(name, numbers, missing, dtype)
        return TypedColumn(name, _int64(table, name, numbers), missing, dtype)
    if types.is_floating(kind) or types.is_decimal(kind):
        extra = {"decimals": kind.scale} if types.is_decimal(kind) else {}
        numbers = values.cast(pyarrow.float64()).to_numpy(zero_copy_only=False)
        return TypedColumn(name, numbers.astype(np.float64), missing | np.isnan(numbers), dtype, None, extra)
    if types.is_timestamp(kind) or types.is_date(kind):
        plain = values.cast(pyarrow.timestamp("us", kind.tz) if types.is_timestamp(kind) else pyarrow.timestamp("us"),
                            safe=False)  # fmt: skip
        moments = plain.cast(pyarrow.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        zone = kind.tz if types.is_timestamp(kind) else None
        return TypedColumn(name, moments.astype("datetime64[us]"), missing, dtype, zone)
    raise UsageError(f"{table}, column '{name}' is of type {kind}, which cannot be learned", _LEAVE_OUT.format(name))


_LEAVE_OUT = "Save the file without it, or as numbers, texts or dates: '{}'."


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    view = getattr(types, "is_string_view", lambda _: False)
    return bool(types.is_string(kind) or types.is_large_string(kind) or view(kind))


def _int64(table: str, name: str, numbers: np.ndarray) -> np.ndarray:
    if numbers.dtype == np.uint64 and len(numbers) and numbers.max() >= 2**63:
        raise UsageError(f"{table}, column '{name}' holds {numbers.max()}, more than 64 bits with a sign can hold")
    return numbers.astype(np.int64)


def _texts(name: str, values: Any, dtype: str, extra: dict[str, Any]) -> TextColumn:
    """Texts from chunks of one dictionary; texts that no row holds are left out."""
    chunks = values.chunks
    texts = np.array([*(chunks[0].dictionary.to_pylist() if chunks else []), None], object)[:-1]
    codes = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32) for chunk in chunks]
    column = TextColumn(
        name, np.concatenate(codes) if codes else np.empty(0, np.int32), texts, dtype=dtype, extra=extra
    )
    if extra:
        column.extra["categories"] = [str(text) for text in texts]
    return column.take(np.arange(len(column)))


def from_pandas(name: str, frame: pd.DataFrame) -> RawTable:
    """All columns of a DataFrame; its index is left out. Raises UsageError naming a column that cannot be learned."""
    if not len(frame) or not frame.shape[1]:
        raise UsageError(f"{name} has no {'columns' if len(frame) else 'rows'}")
    labels = [str(label) for label in frame.columns]
    if frame.columns.nlevels > 1:
        raise UsageError(f"{name} has columns of several levels", "Give every column one name.")
    names = column_names(name, labels)
    if len(names) > MAX_COLUMNS:
        raise UsageError(f"{name} has {len(names):,} columns, more than the limit of {MAX_COLUMNS:,}")
    columns = tuple(_series(name, own, frame.iloc[:, place]) for place, own in enumerate(names))
    form: dict[str, Any] = {"kind": "frame"}
    given = [label if isinstance(label, str | int) else str(label) for label in frame.columns.tolist()]
    if given != list(names):
        form["header"] = given
    return RawTable(name, columns, len(frame), form)


def _series(table: str, name: str, values: pd.Series) -> Column:
    import pandas as pd

    kind, dtype = values.dtype, str(values.dtype)
    missing = values.isna().to_numpy(bool)
    if isinstance(kind, pd.CategoricalDtype):
        return _categorical(table, name, values)
    if hasattr(kind, "pyarrow_dtype"):
        import pyarrow

        return replace(from_arrow(table, name, pyarrow.chunked_array([pyarrow.array(values)])), dtype=dtype)
    if pd.api.types.is_bool_dtype(kind):
        return TypedColumn(name, values.fillna(False).to_numpy(bool), missing, dtype)
    if pd.api.types.is_integer_dtype(kind):
        return TypedColumn(
            name, _int64(table, name, (values.fillna(0) if missing.any() else values).to_numpy()), missing, dtype
        )
    if pd.api.types.is_float_dtype(kind):
        return TypedColumn(name, values.to_numpy(np.float64, na_value=np.nan), missing, dtype)
    if pd.api.types.is_datetime64_any_dtype(kind):
        return _moments(table, name, values)
    if pd.api.types.is_string_dtype(kind) or kind.kind == "O":
        return _mixed(table, name, values)
    raise UsageError(f"{table}, column '{name}' is of type {dtype}, which cannot be learned", "Convert it or drop it.")


def _moments(table: str, name: str, values: pd.Series) -> TypedColumn:
    zone = getattr(values.dtype, "tz", None)
    missing = values.isna().to_numpy(bool)
    plain = values.dt.tz_convert("UTC").dt.tz_localize(None) if zone is not None else values
    moments = plain.to_numpy().astype("datetime64[us]")
    return TypedColumn(name, moments, missing, str(values.dtype), str(zone) if zone is not None else None)


def _categorical(table: str, name: str, values: pd.Series) -> Column:
    """A categorical of texts keeps its categories and their order; one of other values is learned as these values."""
    categories = values.cat.categories
    extra = {"categories": categories.tolist(), "ordered": bool(values.cat.ordered)}
    if not all(isinstance(category, str) for category in categories):
        column = _series(table, name, values.astype(categories.dtype if not values.isna().any() else object))
        return replace(column, dtype="category", extra=_plain_values(extra))
    texts = np.array([*categories, None], object)[:-1]
    column = TextColumn(name, values.cat.codes.to_numpy(np.int32), texts, dtype="category", extra=extra)
    return column.take(np.arange(len(column)))


def _plain_values(extra: dict[str, Any]) -> dict[str, Any]:
    """Without categories that JSON has no word for."""
    plain = all(isinstance(category, bool | int | float | str) for category in extra["categories"])
    return extra if plain else {}


def _mixed(table: str, name: str, values: pd.Series) -> Column:
    """Objects: texts, or values of one other type. Raises UsageError naming the first row of another type."""
    import pandas as pd

    found = values.to_numpy(dtype=object, na_value=None)
    missing = np.array([value is None or value is pd.NA for value in found], bool)
    kinds = {type(value) for value in found[~missing]}
    if kinds <= {str}:
        codes, texts = pd.factorize(np.where(missing, None, found))
        return TextColumn(name, codes.astype(np.int32), texts, dtype=str(values.dtype))
    converted = values.infer_objects() if len(kinds) == 1 else values
    if kinds <= {int, float, bool} and bool not in kinds:
        converted = values.astype("Float64" if float in kinds else "Int64")
    elif kinds <= {bool}:
        converted = values.astype("boolean")
    elif (
        len(kinds) == 1
        and converted.dtype == object
        and next(iter(kinds)).__name__ in ("date", "datetime", "Timestamp")
    ):
        converted = pd.to_datetime(values)
    elif len(kinds) == 1 and next(iter(kinds)).__name__ == "Decimal":
        converted = values.astype(float)
    if converted.dtype == object:
        first = type(found[~missing][0])
        row = next(
            i for i, value in enumerate(found) if not missing[i] and (type(value) is not first or len(kinds) == 1)
        )
        raise UsageError(
            f"{table}, column '{name}', row {row:,}: a value of type {type(found[row]).__name__} among objects "
            f"of type {first.__name__}",
            "Give the column one type: numbers, texts, dates or true/false.",
        )
    return replace(_series(table, name, converted), dtype="object")
