"""The types that a table had before it was read: pandas dtypes, Arrow types, labels of columns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.tables.frames import pyarrow_parquet
from synthgen.data.tables.numbers import number_kind
from synthgen.data.tables.schema import ColumnSchema, TableSchema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow


def restore(frame: pd.DataFrame, schema: TableSchema) -> pd.DataFrame:
    """The rows of `frame` (normal forms) with the dtypes, labels and order of columns that the table came with.

    Of a text file they are those that pandas reads from it, with dates as dates. Of Parquet, those that pandas makes
    of its types; raises SynthgenError when the extra for Parquet is missing.
    """
    import pandas as pd

    kind = schema.format.get("kind")
    if kind == "parquet":
        found: pd.DataFrame = to_arrow(frame, schema).to_pandas()
        return found
    restored = {}
    for column in schema.columns:
        values = frame[column.name]
        dtype = str(column.format.get("dtype", ""))
        restored[column.name] = _of_dtype(values, column, dtype) if dtype else _of_text(values, column)
    found = pd.DataFrame(restored, index=frame.index)
    if kind == "frame" and len(schema.format.get("header", ())) == len(schema.columns):
        found.columns = pd.Index(schema.format["header"])
    return found


def _of_text(values: pd.Series, column: ColumnSchema) -> pd.Series:
    """As pandas reads texts, except that dates are dates and whole numbers stay whole beside missing ones."""
    kind, form = column.kind, column.format
    if kind == "integer":
        return values if values.isna().any() else values.astype("int64")
    if kind == "number":
        return values
    if kind == "datetime":
        return _in_zone(values, form.get("zone"))
    if kind == "boolean":
        words = (str(form.get("true", "true")), str(form.get("false", "false")))
        if {word.lower() for word in words} == {"true", "false"}:
            return values if values.isna().any() else values.astype(bool)
        return _texts(values.map({True: words[0], False: words[1]}).astype(object))
    if form.get("id") == "sequence":
        return values.astype("int64")
    if kind == "constant":
        return _constant(values)
    return _texts(values)


def _constant(values: pd.Series) -> pd.Series:
    present = values[values.notna()]
    kind = number_kind([str(present.iloc[0])]) if len(present) else "number"
    if kind == "integer" and len(present) == len(values):
        return values.astype("int64")
    return values.astype("float64") if kind in ("integer", "number") else _texts(values)


def _texts(values: pd.Series) -> pd.Series:
    """The dtype that this pandas gives texts: object before version 3, str from then on."""
    import pandas as pd

    dtype = pd.Series(["text"]).dtype
    return values if dtype == values.dtype else values.astype(dtype)


def _in_zone(values: pd.Series, zone: Any) -> pd.Series:
    if not zone:
        return values
    name = "UTC" if zone == "Z" else re.sub(r"^([+-]\d{2}):?(\d{2})$", r"\1:\2", str(zone))
    offset = re.fullmatch(r"([+-]\d{2}:\d{2})", name)
    return values.dt.tz_localize("UTC").dt.tz_convert(f"UTC{name}" if offset else name)


def _of_dtype(values: pd.Series, column: ColumnSchema, dtype: str) -> pd.Series:
    """As the DataFrame had it."""
    import pandas as pd

    kind, form = column.kind, column.format
    if _came_as_text(column):
        values = pd.Series(_written(values, column), index=values.index, dtype=object)
        return values if dtype == "object" else values.astype(dtype)
    if kind == "datetime":
        values = _in_zone(values, form.get("zone"))
        return values if dtype in ("object", "category") else values.astype(dtype)
    if kind in ("category", "constant", "identifier") and dtype not in ("category", "object"):
        return _parsed(values, dtype, form.get("zone"))
    if dtype == "category":
        if "categories" not in form:
            return values.astype("category")
        categories = form["categories"]
        if categories and not isinstance(categories[0], str) and kind in ("category", "constant", "identifier"):
            values = values.map({str(category): category for category in categories})
        kept = pd.CategoricalDtype(categories, ordered=bool(form.get("ordered")))
        return values.astype(object).astype(kept)
    if dtype == "object":
        return values.astype(object).where(values.notna(), None)
    if re.match(r"u?int|bool", dtype) and values.isna().any():
        return values  # such a dtype has no word for a missing value
    return values.astype(dtype)


def _parsed(values: pd.Series, dtype: str, zone: Any) -> pd.Series:
    """Texts that name values of a type, as these values."""
    import pandas as pd

    if dtype.startswith(("datetime64", "timestamp")):
        return _in_zone(pd.to_datetime(values), zone).astype(dtype)
    if dtype.lower().startswith("bool"):
        return values.map({"True": True, "False": False}).astype(dtype)
    if re.match(r"(?i)u?int|float|double|halffloat", dtype):
        return pd.to_numeric(values).astype(dtype)
    return values.astype(dtype)


def to_arrow(frame: pd.DataFrame, schema: TableSchema) -> pyarrow.Table:
    """The rows of `frame` (normal forms) as Arrow: with the types of the Parquet file that they came from, or those
    that pandas' dtypes have. Raises SynthgenError when the extra for Parquet is missing."""
    pyarrow_parquet()
    import pyarrow

    if schema.format.get("kind") != "parquet":
        restored = restore(frame, schema)
        restored.columns = [str(label) for label in restored.columns]
        return pyarrow.Table.from_pandas(restored, preserve_index=False)
    names = schema.format.get("header", ())
    names = names if len(names) == len(schema.columns) else schema.names
    arrays = [_arrow_column(frame[column.name], column) for column in schema.columns]
    return pyarrow.table(arrays, names=[str(name) for name in names])


def _arrow_column(values: pd.Series, column: ColumnSchema) -> Any:
    import pyarrow

    added = {"integer": "int64", "number": "double"}.get(column.kind, "string")  # of columns that the file did not have
    kind = arrow_type(str(column.format.get("dtype", added)))
    missing = values.isna().to_numpy(bool)
    if _came_as_text(column):
        return pyarrow.array(_written(values, column)).cast(kind)
    if column.kind == "datetime":
        moments = pyarrow.array(values.to_numpy().astype("datetime64[us]").astype(np.int64), mask=missing)
        plain = moments.cast(pyarrow.timestamp("us", tz="UTC" if column.format.get("zone") else None))
        if pyarrow.types.is_timestamp(kind) and kind.tz is None and plain.type.tz is not None:
            plain = plain.cast(pyarrow.timestamp("us"))
        return plain.cast(kind, safe=False)
    if column.kind in ("number", "integer", "boolean"):
        whole = column.kind == "integer"
        plain = values.to_numpy(np.int64 if whole else np.float64 if column.kind == "number" else bool,
                                na_value=0 if column.kind != "number" else np.nan)  # fmt: skip
        made = pyarrow.array(plain, mask=missing)
        if pyarrow.types.is_decimal(kind):
            scale = kind.scale
            texts = [None if gone else f"{value:.{scale}f}" for value, gone in zip(plain, missing, strict=True)]
            return pyarrow.array(texts).cast(kind)
        return made.cast(kind, safe=False)
    return pyarrow.array(values.to_list(), pyarrow.string()).cast(kind)


def _written(values: pd.Series, column: ColumnSchema) -> list[str | None]:
    """Texts of numbers, dates or booleans that came as texts."""
    from synthgen.data.tables.writing import column_texts

    present = values.notna().to_numpy(bool)
    texts = iter(column_texts(values[present].array, column))
    return [next(texts) if there else None for there in present]


def _came_as_text(column: ColumnSchema) -> bool:
    """Whether numbers, dates or booleans came as texts, whose form is known then."""
    mark = {"number": "style", "integer": "style", "datetime": "format", "boolean": "true"}.get(column.kind)
    return mark is not None and mark in column.format


def arrow_type(text: str) -> Any:
    """The Arrow type whose name is `text`, one of those that reading accepts; string for any other."""
    import pyarrow

    stamp = re.fullmatch(r"timestamp\[(s|ms|us|ns)(?:, tz=(.+))?\]", text)
    if stamp:
        return pyarrow.timestamp(stamp.group(1), tz=stamp.group(2))
    decimal = re.fullmatch(r"decimal(128|256)\((\d{1,2}), (-?\d{1,2})\)", text)
    if decimal:
        make = pyarrow.decimal128 if decimal.group(1) == "128" else pyarrow.decimal256
        return make(int(decimal.group(2)), int(decimal.group(3)))
    pairs = re.fullmatch(r"dictionary<values=(\w+), indices=(\w+), ordered=(\d)>", text)
    if pairs:
        return pyarrow.dictionary(arrow_type(pairs.group(2)), arrow_type(pairs.group(1)), pairs.group(3) == "1")
    plain = {"halffloat": "float16", "float": "float32", "double": "float64"}.get(text, text)
    try:
        return pyarrow.type_for_alias(plain)
    except ValueError:
        return pyarrow.string()
