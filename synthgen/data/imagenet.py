"""ImageNet (ILSVRC2012) as folders of synsets: `train/n01440764/*.JPEG`; no development kit is needed.

Read are the layout of the archives unpacked by synset, and that of the Kaggle download (`ILSVRC/Data/CLS-LOC/`, flat
`val/` with `LOC_val_solution.csv`). Names come from `LOC_synset_mapping.txt` when it is there.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from synthgen.data.contents import About, check_split
from synthgen.data.filesets import FileSet
from synthgen.data.folders import scan
from synthgen.data.stores import FolderStore
from synthgen.errors import UsageError

LICENCE = "research only"  # and education, non-commercial, by agreement with its owners

_MAPPING = "LOC_synset_mapping.txt"
_SOLUTION = "LOC_val_solution.csv"
_SYNSET = re.compile(r"n\d{8}")
_INNER = Path("ILSVRC/Data/CLS-LOC")


def is_imagenet(folder: Path) -> bool:
    """Whether `folder` holds a synset mapping, the Kaggle layout, or `train/` with folders named by synset."""
    if (folder / _MAPPING).is_file() or (folder / _INNER).is_dir():
        return True
    train = folder / "train"
    return train.is_dir() and any(_SYNSET.fullmatch(child.name) for child in train.iterdir() if child.is_dir())


def read_imagenet(folder: Path, split: str) -> FileSet:
    """The images of a split ("test" is the validation split, whose labels are public)."""
    tars = sorted(path.name for path in folder.glob("ILSVRC2012_img_*.tar"))
    data = folder / _INNER if (folder / _INNER).is_dir() else folder
    if tars and not (data / "train").is_dir():
        raise UsageError(
            f"{folder} holds {', '.join(tars)}, which must be unpacked first",
            "Unpack the training archive into train/, and each of its 1,000 archives into train/<synset>/.",
        )
    flat = _flat_validation(folder, data)
    if flat is None:
        return _named(scan(FolderStore(data), split, name="imagenet", licence=LICENCE), folder)
    asked = check_split(split, ("train", "test"), "imagenet")
    train = scan(FolderStore(data / "train"), "train", name="imagenet", licence=LICENCE)
    return _named(_combine(train, flat, data, asked), folder)


def _flat_validation(folder: Path, data: Path) -> dict[str, str] | None:
    """File -> synset of a `val/` without sub-folders; None when it has some, or is not there."""
    solution = next((path for path in (folder / _SOLUTION, data / _SOLUTION) if path.is_file()), None)
    if solution is None or not (data / "val").is_dir() or any(child.is_dir() for child in (data / "val").iterdir()):
        return None
    labels = {}
    with solution.open(newline="", encoding="utf-8") as stream:
        for line, row in enumerate(csv.DictReader(stream), start=2):
            synset = (row.get("PredictionString") or "").split(" ")[0]
            if not row.get("ImageId") or not _SYNSET.fullmatch(synset):
                raise UsageError(
                    f"{solution}:{line}: expected ImageId and a PredictionString that begins with a synset"
                )
            labels[f"{row['ImageId']}.JPEG"] = synset
    return labels


def _combine(train: FileSet, labels: dict[str, str], data: Path, asked: str) -> FileSet:
    """Training images by folder and validation images by list as one set with common classes."""
    synsets = train.about.class_names
    position = {synset: i for i, synset in enumerate(synsets)}
    files: list[str] = []
    numbers: list[np.ndarray] = []
    if asked in ("train", "all") and train.about.labels is not None:
        files += [f"train/{name}" for name in train.files]
        numbers.append(train.about.labels)
    if asked in ("test", "all"):
        names = [name for name in FolderStore(data / "val").names() if name in labels]
        foreign = next((labels[name] for name in names if labels[name] not in position), None)
        if foreign or not names:
            raise UsageError(
                f"{data / 'val'} holds " + (f"images of {foreign}, which train/ lacks" if foreign else "no image")
            )
        files += [f"val/{name}" for name in names]
        numbers.append(np.array([position[labels[name]] for name in names], np.int64))
    about = About("imagenet", asked, np.concatenate(numbers), synsets, ("train", "test"), LICENCE, train.about.ignored)
    return FileSet(FolderStore(data), tuple(files), about)


def _named(files: FileSet, folder: Path) -> FileSet:
    """Class names in words: the first synonym of the mapping, with the synset where two share it."""
    path = folder / _MAPPING
    if not path.is_file():
        return files
    lines = [line.partition(" ") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    words = {synset: rest.split(",")[0].strip() or synset for synset, _, rest in lines}
    uses = Counter(words.values())
    names = tuple(
        synset if synset not in words else words[synset] if uses[words[synset]] == 1 else f"{words[synset]} ({synset})"
        for synset in files.about.class_names
    )
    return replace(files, about=replace(files.about, class_names=names))
