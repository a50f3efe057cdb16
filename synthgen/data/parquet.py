"""Parquet files in the image layout of Hugging Face: a column `image` of encoded files, and a column `label`.

`image` is struct{bytes, path} or plain binary; `label` is text, or whole numbers whose names stand in the schema's
metadata. Only the bytes are read: a path in the file is never followed.
"""

from __future__ import annotations

import io
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from synthgen.data.arrays import check_claim
from synthgen.data.filesets import FileSet
from synthgen.data.shards import MAX_IMAGE_BYTES, Label, choose_shards, describe
from synthgen.errors import SynthgenError, UsageError

if TYPE_CHECKING:
    import pyarrow

SUFFIX = ".parquet"
_IMAGES = ("image", "img", "images", "picture")
_LABELS = ("label", "labels", "fine_label", "class", "target", "cls")
_FEW_ROWS = 10_000
_HELD = 3
"""Row groups in memory at once: the one that is read, and those that other threads are about to leave or enter."""

_LAYOUT = "It needs a column `image` of struct{bytes, path} or binary, and may have a column `label`."


def read_parquet(source: Path, shards: Sequence[Path], split: str) -> FileSet:
    """The images of Parquet shards. Raises UsageError naming file and column that are wrong, or the missing extra."""
    chosen, asked, splits = choose_shards(source, shards, split)
    store = ParquetStore(source, chosen)
    if not store.files:
        raise UsageError(f"{source} holds no images: its Parquet files have no rows")
    about = describe(source, asked, splits, store.labels, store.class_names)
    return FileSet(store, tuple(store.files), about)


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise SynthgenError("reading Parquet needs the extra parquet", 'pip install "synthgen[parquet]"') from error
    return pyarrow.parquet


class ParquetStore:
    """The encoded images of Parquet files, one row group at a time. Reading is safe from several threads.

    files: a name for every row. labels: one per row. class_names: as the first file's metadata has them.
    """

    def __init__(self, path: Path, shards: Sequence[Path]) -> None:
        self.path = path
        self.files: dict[str, tuple[int, int, int]] = {}
        self.labels: list[Label] = []
        self.class_names: tuple[str, ...] = ()
        self._shards = list(shards)
        self._columns: list[tuple[str, str]] = []  # a shard's column of images, and what in it are the bytes
        self._held: OrderedDict[tuple[int, int], pyarrow.Array] = OrderedDict()
        self._lock = threading.Lock()
        for number, shard in enumerate(self._shards):
            self._index(number, shard)

    def _index(self, number: int, shard: Path) -> None:
        with self._file(number) as file:
            schema = file.schema_arrow
            image = next((name for name in _IMAGES if name in schema.names), None)
            if image is None or not _is_image(schema.field(image).type):
                kinds = ", ".join(f"{field.name} ({field.type})" for field in schema)
                raise UsageError(f"{shard} has no column of images: its columns are {kinds or 'none'}", _LAYOUT)
            self._columns.append((image, image if _is_plain(schema.field(image).type) else f"{image}.bytes"))
            _check_rows(shard, file.metadata.num_rows)
            label = next((name for name in _LABELS if name in schema.names), None)
            names = _class_names(schema.metadata, label)
            if number and names != self.class_names:
                raise UsageError(f"{shard} names other classes than {self._shards[0]}")
            self.class_names = names
            for group in range(file.num_row_groups):
                details = file.metadata.row_group(group)
                parts = [details.column(place) for place in range(details.num_columns)]
                parts = [part for part in parts if part.path_in_schema.split(".")[0] == image]
                claimed = sum(part.total_uncompressed_size for part in parts)
                stored = sum(part.total_compressed_size for part in parts)
                check_claim(f"{shard}, row group {group}", claimed, stored)
                for row in range(details.num_rows):
                    self.files[f"{shard.name}, row {len(self.files)}"] = (number, group, row)
            self.labels += _labels(file, label, shard)

    @contextmanager
    def _file(self, number: int, image: str | None = None) -> Iterator[Any]:
        """An open file; the column `image` stays a dictionary where it is one, or a few bytes become terabytes.

        Raises UsageError when it is no Parquet file, or is damaged.
        """
        parquet = _pyarrow()
        import pyarrow

        shard = self._shards[number]
        try:
            with parquet.ParquetFile(shard, read_dictionary=image and [image]) as file:
                yield file
        except (OSError, pyarrow.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"{shard} is not a readable Parquet file: {reason}", "Is the download complete?"
            ) from error

    def names(self) -> list[str]:
        return list(self.files)

    def open(self, name: str) -> IO[bytes]:
        shard, group, row = self.files[name]
        value = self._group(shard, group)[row].as_py()
        if value is None:
            raise OSError("the row holds no bytes of an image (a path is not followed)")
        if len(value) > MAX_IMAGE_BYTES:
            raise OSError(f"holds {len(value):,} bytes, more than {MAX_IMAGE_BYTES:,}")
        return io.BytesIO(value)

    def _group(self, shard: int, group: int) -> Any:
        """The encoded images of a row group: an array of binary."""
        with self._lock:
            if (shard, group) not in self._held:
                try:
                    name, leaf = self._columns[shard]
                    with self._file(shard, leaf) as file:
                        table = file.read_row_group(group, columns=[name])
                except UsageError as error:
                    raise OSError(error.message) from error
                column = table.column(0).combine_chunks()
                self._held[shard, group] = column.field("bytes") if hasattr(column, "field") else column
                while len(self._held) > _HELD:
                    self._held.popitem(last=False)
            self._held.move_to_end((shard, group))
            return self._held[shard, group]

    def size(self, name: str) -> int:
        shard = self.files[name][0]
        rows = sum(place[0] == shard for place in self.files.values()) if len(self._shards) > 1 else len(self.files)
        return self._shards[shard].stat().st_size // rows

    def stamp(self, name: str) -> tuple[int, int]:
        stat = self._shards[self.files[name][0]].stat()
        return stat.st_size, stat.st_mtime_ns


def _check_rows(shard: Path, rows: int) -> None:
    """Refuse a file with more rows than bytes: no image is that small, and each row costs memory. Raises UsageError."""
    stored = shard.stat().st_size
    if rows > max(stored, _FEW_ROWS):
        raise UsageError(f"{shard} is a decompression bomb: {stored:,} bytes that claim {rows:,} images")


def _is_image(kind: Any) -> bool:
    from pyarrow import types

    place = kind.get_field_index("bytes") if types.is_struct(kind) else -1
    return _is_plain(kind.field(place).type if place >= 0 else kind)


def _is_plain(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _class_names(metadata: dict[bytes, bytes] | None, label: str | None) -> tuple[str, ...]:
    """The names of a ClassLabel in the metadata that `datasets` writes; none where there is nothing of the kind."""
    if label is None or not metadata or b"huggingface" not in metadata:
        return ()
    try:
        feature = json.loads(metadata[b"huggingface"])["info"]["features"][label]
        names = feature.get("names") or ()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ()
    return tuple(str(name) for name in names)


def _texts(column: Any) -> list[Label]:
    """A column of texts; each distinct one is held once."""
    found: list[Label] = []
    for chunk in column.chunks:
        values = chunk.dictionary.to_pylist() if hasattr(chunk, "dictionary") else chunk.to_pylist()
        rows = chunk.indices.to_pylist() if hasattr(chunk, "dictionary") else range(len(values))
        found += [None if row is None else values[row] for row in rows]
    return found


def _labels(file: Any, column: str | None, shard: Path) -> list[Label]:
    rows = file.metadata.num_rows
    if column is None:
        return [None] * rows
    from pyarrow import types

    kind = file.schema_arrow.field(column).type
    if types.is_dictionary(kind):
        kind = kind.value_type
    if not (types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind)):
        raise UsageError(f"{shard}: the column {column} is of type {kind}; labels are whole numbers or texts")
    found: list[Label]
    if not types.is_integer(kind):
        with _pyarrow().ParquetFile(shard, read_dictionary=[column]) as texts:
            found = _texts(texts.read(columns=[column]).column(0))
    else:
        found = file.read(columns=[column]).column(0).to_pylist()
    hidden = np.array([label == -1 for label in found])
    return [None] * rows if len(hidden) and hidden.all() else found  # -1 throughout: labels that were withheld
