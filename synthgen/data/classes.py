"""Names of classes: their order, their folders, and what a sample folder's manifest says of them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MANIFEST = "manifest.json"
SAMPLES_KIND = "synthgen-samples"
_MAX_MANIFEST_BYTES = 256 * 2**20
_OURS = (MANIFEST, "readme.md", "grid.png", "data", "shards")
"""What lies beside the folders of the classes in a set of samples, in small letters."""


def natural(names: set[str]) -> tuple[str, ...]:
    """Sorted, as numbers when all of them are whole numbers: 2 before 10."""
    if all(re.fullmatch(r"-?\d+", name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def class_folder(name: str, index: int, names: tuple[str, ...]) -> str:
    """A class's folder name: the class name itself where it is a plain file name, else a numbered one.

    Class names come from a checkpoint, which may be anybody's: none may lead out of the folder.
    """
    plain = name not in ("", ".", "..") and not name.startswith(".") and len(name.encode()) <= 200
    plain = plain and name.lower() not in _OURS
    if plain and not set(name) & set('/\\:*?"<>|\0') and name.isprintable():
        return name
    kept = "".join(letter if letter.isalnum() or letter in "-_ " else "_" for letter in name)[:60].strip()
    return f"class-{index:0{len(str(len(names)))}d}-{kept}" if kept else f"class-{index}"


@dataclass(frozen=True)
class Manifest:
    """What is of interest here in the manifest of a folder. ours: `synthgen sample` wrote it."""

    class_names: tuple[str, ...] = ()
    ours: bool = False

    def folders(self) -> dict[str, str]:
        """Folder -> class name, in the order of the model's labels."""
        return {class_folder(name, i, self.class_names): name for i, name in enumerate(self.class_names)}


def manifest_in(folder: Path) -> Manifest:
    """The manifest of a folder, empty when it has none."""
    if not (folder / MANIFEST).is_file():
        return Manifest()
    with (folder / MANIFEST).open("rb") as stream:
        return read_manifest(stream)


def read_manifest(stream: IO[bytes]) -> Manifest:
    """The manifest in a stream; an empty one when it is somebody else's file of that name."""
    try:
        content = json.loads(stream.read(_MAX_MANIFEST_BYTES))
    except (ValueError, RecursionError):
        return Manifest()
    if not isinstance(content, dict) or content.get("kind") != SAMPLES_KIND:
        return Manifest()
    names = content.get("class_names")
    return Manifest(tuple(str(name) for name in names) if isinstance(names, list) else (), ours=True)
