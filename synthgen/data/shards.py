"""Shards: files of one kind that hold many images each, of one or more splits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synthgen.data.arrays import to_labels
from synthgen.data.classes import manifest_in, natural
from synthgen.data.contents import About, check_split
from synthgen.data.decode import SUFFIXES
from synthgen.errors import UsageError

MAX_IMAGE_BYTES = 256 * 2**20
"""One encoded image may take this much; 64 megapixels of 8-bit RGB are 192 MiB."""

_SPLITS = {
    "train": "train",
    "training": "train",
    **dict.fromkeys(("test", "testing", "val", "valid", "validation", "dev"), "test"),
}
_OWN_FOLDERS = ("data", "shards", *_SPLITS)
"""`synthgen sample --shards` keeps the manifests of its shards in `shards/`."""
_PREFIX = re.compile(r"([a-z]+)([-_.]|$)", re.IGNORECASE)

Label = int | str | None


def find_shards(folder: Path, suffix: str) -> list[Path]:
    """The shards of a folder, of its `data/`, or of its folders of splits, sorted by name.

    None where the folder holds images or folders of other names: then it is a folder of images, with a stray archive.
    """
    children = [path for path in folder.iterdir() if not path.name.startswith(".")]
    folders = [path for path in children if path.is_dir()]
    pictures = [path for path in children if path.suffix.lower() in SUFFIXES and path.name != "grid.png"]
    if pictures or any(path.name not in _OWN_FOLDERS for path in folders):
        return []
    found = children + [path for inner in folders for path in inner.iterdir() if not path.name.startswith(".")]
    return sorted(path for path in found if path.suffix.lower() == suffix and path.is_file())


def choose_shards(source: Path, shards: Sequence[Path], split: str) -> tuple[list[Path], str, tuple[str, ...]]:
    """The shards of a split, the split's name, and which splits there are.

    A shard's split stands at the beginning of its name (`train-00000-of-00004.parquet`) or is the name of its folder.
    Where some shards name none, there are no splits. A lone file that was named is what is wanted, whatever its name
    says; only a test must be a test. Raises UsageError for a split that is not there.
    """
    if source.is_file() and split != "test":
        return [source], "test" if _split_of(source, source.parent) == "test" else "all", ("all",)
    split_of = {shard: _split_of(shard, source) for shard in shards}
    if None in split_of.values():
        asked = check_split(split, ("all",), str(source))
        return list(shards), asked, ("all",)
    splits = tuple(name for name in ("train", "test") if name in split_of.values())
    asked = check_split(split, splits, str(source))
    return [shard for shard in shards if asked in ("all", split_of[shard])], asked, splits


def _split_of(shard: Path, source: Path) -> str | None:
    if shard.parent != source and shard.parent.name in _SPLITS:
        return _SPLITS[shard.parent.name]
    prefix = _PREFIX.match(shard.stem)
    return _SPLITS.get(prefix[1].lower()) if prefix else None


def describe(
    source: Path,
    asked: str,
    splits: tuple[str, ...],
    labels: Sequence[Label],
    class_names: tuple[str, ...],
    *,
    ignored: int = 0,
) -> About:
    """What is known of a set of shards. labels: one per image, all None without labels.

    class_names: as the shards name them, else those in the manifest beside them, else the labels themselves. Raises
    UsageError when only some images have labels, or a label has no name.
    """
    folder = source if source.is_dir() else source.parent
    manifest = manifest_in(folder)
    without = sum(label is None for label in labels)
    if 0 < without < len(labels):
        raise UsageError(
            f"{source} has {without:,} image(s) without a label among {len(labels):,}", "Label all of them, or none."
        )
    if without == len(labels):
        return About(str(source), asked, None, (), splits, ignored=ignored, keep=manifest.ours)
    names = class_names or manifest.class_names
    kinds = {type(label) for label in labels}
    if len(kinds) > 1:
        raise UsageError(f"{source} has labels that are numbers and labels that are texts", "Use one of the two.")
    values = np.array(labels)
    if not names:
        names = natural({str(label) for label in labels})
        values = values.astype(str)
    numbers, names = to_labels(values, len(labels), names, f"{source}: its labels")
    return About(str(source), asked, numbers, names, splits, ignored=ignored, keep=manifest.ours)
