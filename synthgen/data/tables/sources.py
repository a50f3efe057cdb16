"""Which names mean a table: told from the name and, for Parquet, from its columns, without reading rows."""

from __future__ import annotations

from pathlib import Path

from synthgen.data.tables.known import KNOWN_TABLES

TEXT_SUFFIXES = (".csv", ".tsv", ".tab", ".csv.gz", ".tsv.gz", ".tab.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")
SUFFIXES = TEXT_SUFFIXES + PARQUET_SUFFIXES
_IMAGES = ("image", "img", "images", "picture")


def is_table(source: str | Path) -> bool:
    """Whether `source` means a table: a known name, a file by its name, or a folder that holds one table.

    A Parquet file with a column of encoded images is a set of images. The file need not exist.
    """
    path = Path(str(source)).expanduser()
    if str(source) in KNOWN_TABLES:
        return True
    return table_in(path) is not None if path.is_dir() else _looks_like_table(path)


def table_in(folder: Path) -> Path | None:
    """The one table in `folder`, as `synthgen sample` leaves it; None when there is none, several, or folders too."""
    try:
        children = sorted(child for child in folder.iterdir() if not child.name.startswith("."))
    except OSError:
        return None
    if any(child.is_dir() for child in children):
        return None
    tables = [child for child in children if _looks_like_table(child)]
    others = [child for child in children if child not in tables and child.suffix not in (".json", ".md", ".html")]
    return tables[0] if len(tables) == 1 and not others else None


def _looks_like_table(path: Path) -> bool:
    name = path.name.lower()
    if name.endswith(TEXT_SUFFIXES):
        return True
    return name.endswith(PARQUET_SUFFIXES) and path.is_file() and not _holds_images(path)


def _holds_images(path: Path) -> bool:
    try:
        import pyarrow
        from pyarrow import parquet, types
    except ModuleNotFoundError:
        return True  # as before tables: the reader of images says which extra is missing
    try:
        schema = parquet.read_schema(path)
    except (OSError, pyarrow.ArrowException):
        return True
    kinds = [schema.field(name).type for name in schema.names if name in _IMAGES]
    return any(types.is_struct(kind) or types.is_binary(kind) or types.is_large_binary(kind) for kind in kinds)
