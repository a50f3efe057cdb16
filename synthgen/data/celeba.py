"""CelebA as its owners hand it out: aligned faces (a folder or the zip), attribute and partition lists.

Liu, Luo, Wang, Tang: Deep learning face attributes in the wild, ICCV 2015. 178 x 218 pixels, 40 attributes of -1 or 1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synthgen.data.contents import About, check_split
from synthgen.data.filesets import FileSet
from synthgen.data.stores import FolderStore, Store, ZipStore
from synthgen.errors import UsageError, nearest

LICENCE = "research only"  # non-commercial, by agreement with its owners

_FACES = "img_align_celeba"
_ATTRIBUTES = "list_attr_celeba.txt"
_PARTITION = "list_eval_partition.txt"
_PARTS = {"train": "0", "test": "2"}


def is_celeba(folder: Path) -> bool:
    """Whether the aligned faces lie in `folder`, as a folder or a zip, with one of their lists."""
    faces = (folder / _FACES).is_dir() or (folder / f"{_FACES}.zip").is_file()
    return faces and (_list_at(folder, _ATTRIBUTES) is not None or _list_at(folder, _PARTITION) is not None)


def read_celeba(folder: Path, split: str, attribute: str | None) -> FileSet:
    """The faces; labelled "not X" and "X" when an attribute X is named.

    Raises UsageError naming an unknown attribute, a list that is damaged, or faces that are missing.
    """
    store = _store(folder)
    faces = {name.rpartition("/")[2]: name for name in store.names() if name.lower().endswith((".jpg", ".png"))}
    parts = _partition(folder)
    asked = check_split(split, ("train", "test") if parts else ("all",), str(folder))
    wanted = sorted(faces) if not parts or asked == "all" else [f for f, part in parts.items() if part == _PARTS[asked]]
    missing = [face for face in wanted if face not in faces]
    if missing or not wanted:
        first = f", such as {missing[0]}" if missing else ""
        raise UsageError(
            f"{store.path} lacks {len(missing):,} of the {len(wanted):,} faces that {_PARTITION} lists{first}"
        )
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    if attribute is not None:
        has = _attribute(folder, attribute)
        unknown = next((face for face in wanted if face not in has), None)
        if unknown:
            raise UsageError(f"{folder / _ATTRIBUTES} has no row for {unknown}")
        labels = np.array([has[face] for face in wanted], np.int64)
        class_names = (f"not {attribute}", attribute)
    splits = ("train", "test") if parts else ("all",)
    about = About(f"celeba:{attribute}" if attribute else "celeba", asked, labels, class_names, splits, LICENCE)
    return FileSet(store, tuple(faces[face] for face in wanted), about)


def _store(folder: Path) -> Store:
    if (folder / _FACES).is_dir():
        return FolderStore(folder / _FACES)
    return ZipStore(folder / f"{_FACES}.zip")


def _list_at(folder: Path, name: str) -> Path | None:
    """The owners keep the lists in Anno/ and Eval/; most copies have them beside the faces."""
    return next(
        (place / name for place in (folder, folder / "Anno", folder / "Eval") if (place / name).is_file()), None
    )


def _lines(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def _partition(folder: Path) -> dict[str, str]:
    """File -> "0" train, "1" validation, "2" test; empty without the list."""
    path = _list_at(folder, _PARTITION)
    if path is None:
        return {}
    rows = {}
    for line, cells in enumerate(_lines(path), start=1):
        if len(cells) != 2 or cells[1] not in ("0", "1", "2"):
            raise UsageError(f"{path}:{line}: expected a file name and 0, 1 or 2, found '{' '.join(cells)[:60]}'")
        rows[cells[0]] = cells[1]
    return rows


def _attribute(folder: Path, attribute: str) -> dict[str, int]:
    """File -> 0 or 1."""
    path = _list_at(folder, _ATTRIBUTES)
    if path is None:
        raise UsageError(
            f"{folder} has no {_ATTRIBUTES}, so '{attribute}' cannot be a label", "Put it beside the faces."
        )
    lines = _lines(path)
    if len(lines) < 3 or len(lines[0]) != 1 or not lines[0][0].isdigit():
        raise UsageError(f"{path} does not begin with a count and a line of attribute names")
    names = lines[1]
    if attribute not in names:
        raise UsageError(
            f"CelebA has no attribute '{attribute}'{nearest(attribute, names)}", f"It has: {', '.join(sorted(names))}."
        )
    column = 1 + names.index(attribute)
    if len(lines) - 2 != int(lines[0][0]):
        raise UsageError(f"{path} is damaged: {len(lines) - 2:,} rows where its first line promises {lines[0][0]}")
    rows = {}
    for line, cells in enumerate(lines[2:], start=3):
        if len(cells) != 1 + len(names) or cells[column] not in ("-1", "1"):
            raise UsageError(f"{path}:{line}: expected a file name and {len(names)} values of -1 or 1")
        rows[cells[0]] = int(cells[column] == "1")
    return rows
