"""Which names mean series: told from the name and, for archives, from the heads of their arrays."""

from __future__ import annotations

import json
from pathlib import Path

from synthgen.data.series.known import KNOWN_SERIES
from synthgen.data.tables.sources import PARQUET_SUFFIXES, TEXT_SUFFIXES
from synthgen.errors import SynthgenError

SUFFIXES = TEXT_SUFFIXES + PARQUET_SUFFIXES
ARCHIVES = (".npz", ".npy")
ARRAYS = ("X_train", "X_test", "X", "data", "arr_0")
"""Names of the arrays of values in an npz file, the first of them first; else the only array is it."""
_IMAGES = ("images", "x", "samples")
_MANIFEST = "manifest.json"


def is_series(source: str | Path) -> bool:
    """Whether `source` means series: a known name, an npz or npy of numbers (N, L, C), a folder of several tables.

    What `synthgen sample` wrote with a model of series is one, too. Any other single CSV or Parquet file is a table
    unless the settings say otherwise.
    """
    path = Path(str(source)).expanduser()
    if path.is_dir():
        return is_made(path) or len(sequence_files(path)) >= 2
    if path.is_file():
        return is_made(path) or (path.suffix.lower() in ARCHIVES and _holds_series(path))
    return str(source) in KNOWN_SERIES


def is_made(path: Path) -> bool:
    """Whether `synthgen sample` wrote this file or folder with a model of series: its manifest says so."""
    beside = path / _MANIFEST if path.is_dir() else path.with_name(f"{path.name}.{_MANIFEST}")
    try:
        manifest = json.loads(beside.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("modality") == "series"


def sequence_files(folder: Path) -> list[Path]:
    """The tables in a folder, one of each sequence, or in its folders if they hold nothing else; sorted, [] if none."""
    try:
        children = sorted(child for child in folder.iterdir() if not child.name.startswith("."))
    except OSError:
        return []
    folders = [child for child in children if child.is_dir()]
    files = [child for child in children if child.is_file()]
    found = [child for child in files if child.name.lower().endswith(SUFFIXES)]
    if folders and not found:
        for inner in folders:
            found += sorted(child for child in inner.iterdir() if child.name.lower().endswith(SUFFIXES))
        return found if all(any(inner.iterdir()) for inner in folders) else []
    others = [child for child in files if child not in found and child.suffix not in (".json", ".md", ".html", ".txt")]
    return [] if folders or others else found


def archives_in(folder: Path) -> list[Path]:
    """The npz files in a folder, or in the folder `data` of shards; sorted."""
    return sorted(folder.glob("*.npz")) or sorted((folder / "data").glob("*.npz"))


def _holds_series(path: Path) -> bool:
    """Whether the main array of an npz file, or that of an npy file, is (N, L, C) or (N, L), of numbers.

    Bytes (N, H, W) are pictures, and so are other whole numbers, and all in an npy file, where H = W.
    """
    from synthgen.data.npz import array_head, array_heads

    single = path.suffix.lower() == ".npy"
    try:
        heads = {ARRAYS[-1]: array_head(path)} if single else array_heads(path)
    except SynthgenError:
        return False
    name = main_array(list(heads))
    if name is None:
        return False
    shape, dtype = heads[name]
    if dtype.kind not in "fi" or len(shape) not in (2, 3):
        return False
    return len(shape) == 2 or shape[1] != shape[2] or (dtype.kind == "f" and not single)


def main_array(names: list[str]) -> str | None:
    """The array of values among these; None when it cannot be told."""
    known = next((name for name in ARRAYS if name in names), None)
    return known or (names[0] if len(names) == 1 and names[0] not in _IMAGES else None)
