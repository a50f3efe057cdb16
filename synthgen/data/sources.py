"""From what a user writes (a name, a folder, a file) to what it holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from synthgen.data import celeba, cifar, imagenet, parquet, webdataset
from synthgen.data.classes import manifest_in
from synthgen.data.contents import Contents
from synthgen.data.decode import SUFFIXES
from synthgen.data.download import by_hand, fetch_known
from synthgen.data.folders import scan
from synthgen.data.idxsets import idx_pairs, pair_of, read_idx_folder, read_idx_sets
from synthgen.data.npz import read_npy, read_npz
from synthgen.data.prepared import is_prepared, open_prepared
from synthgen.data.registry import KNOWN_SETS, KnownSet, known_sources
from synthgen.data.shards import find_shards
from synthgen.data.stores import FolderStore, ZipStore
from synthgen.errors import UsageError, nearest
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop

_IDX_NAME = re.compile(r"[-.]idx[1-4](-ubyte)?(\.gz)?$|-ubyte(\.gz)?$", re.IGNORECASE)

_SHARDS: dict[str, Callable[[Path, Sequence[Path], str], Contents]] = {
    parquet.SUFFIX: parquet.read_parquet,
    webdataset.SUFFIX: webdataset.read_webdataset,
}


def open_source(
    source: str | Path, split: str, reporter: Reporter, should_stop: ShouldStop, *, captions: bool = False
) -> Contents:
    """What `source` holds in `split`. Downloads a known set that is nowhere on this machine.

    captions: of a folder that has them, they are the classes. Raises UsageError when there is no such thing, or it is
    not what it seems; SynthgenError when a download fails.
    """
    text = str(source)
    name, _, attribute = text.partition(":")
    if name in KNOWN_SETS:
        return _open_known(KNOWN_SETS[name], split, attribute or None, reporter, should_stop)
    path = Path(text).expanduser()
    if path.is_dir():
        return _open_folder(path, split, captions)
    if path.is_file():
        return _open_file(path, split, captions)
    base, colon, attribute = text.rpartition(":")
    if colon and celeba.is_celeba(Path(base).expanduser()):
        return celeba.read_celeba(Path(base).expanduser(), split, attribute)
    raise UsageError(
        f"there is no data set, folder or file '{text}'{nearest(text, known_sources())}",
        f"Known by name: {', '.join(known_sources())} (`synthgen data list`).",
    )


def _open_known(
    known: KnownSet, split: str, attribute: str | None, reporter: Reporter, should_stop: ShouldStop
) -> Contents:
    if attribute and known.layout != "celeba":
        raise UsageError(
            f"{known.name} has no attributes to choose from, so '{known.name}:{attribute}' means nothing",
            f"Write {known.name}.",
        )
    folder = known.find()
    if folder is None:
        if not known.mirrors:
            raise UsageError(f"{known.name} is not on this machine; its owners hand it out on request", by_hand(known))
        folder = fetch_known(known, reporter=reporter, should_stop=should_stop)
    if known.layout == "idx":
        return read_idx_sets(
            idx_pairs(folder), split, name=known.name, class_names=known.class_names, licence=known.licence
        )
    if known.layout == "cifar10":
        place = cifar.cifar_at(folder)
        assert place is not None  # that is how it was found
        return cifar.read_cifar(place, split)
    if known.layout == "celeba":
        return celeba.read_celeba(folder, split, attribute)
    return imagenet.read_imagenet(folder, split)


def _open_folder(path: Path, split: str, captions: bool) -> Contents:
    try:
        if is_prepared(path):
            return open_prepared(path, split)
        place = cifar.cifar_at(path)
        if place is not None:
            return cifar.read_cifar(place, split)
        if celeba.is_celeba(path):
            return celeba.read_celeba(path, split, None)
        if imagenet.is_imagenet(path):
            return imagenet.read_imagenet(path, split)
        pairs = idx_pairs(path)
        if pairs:
            return read_idx_folder(path, pairs, split)
        for suffix, read in _SHARDS.items():
            shards = find_shards(path, suffix)
            if shards:
                return read(path, shards, split)
        arrays = _lone_npz(path)
    except OSError as error:
        raise UsageError(f"cannot list {error.filename or path}: {error.strerror}") from error
    if arrays:
        contents = read_npz(arrays, split)
        return replace(contents, about=replace(contents.about, keep=manifest_in(path).ours))
    return scan(FolderStore(path), split, name=str(path), captions=captions)


def _lone_npz(path: Path) -> Path | None:
    """The .npz of a folder that holds nothing else that could be images."""
    children = [child for child in path.iterdir() if not child.name.startswith(".")]
    arrays = sorted(child for child in children if child.suffix == ".npz")
    images = [child for child in children if child.suffix.lower() in SUFFIXES and child.name != "grid.png"]
    if not arrays or images or any(child.is_dir() for child in children):
        return None
    if len(arrays) > 1:
        raise UsageError(
            f"{path} holds {len(arrays)} .npz files: {', '.join(child.name for child in arrays[:5])}",
            "Name the one that you mean.",
        )
    return arrays[0]


def _open_file(path: Path, split: str, captions: bool) -> Contents:
    name = path.name.lower()
    if name.endswith(".npz"):
        return read_npz(path, split)
    if name.endswith(".npy"):
        return read_npy(path, split)
    if name.endswith(".zip"):
        return scan(ZipStore(path), split, name=str(path), captions=captions)
    for suffix, read in _SHARDS.items():
        if name.endswith(suffix):
            return read(path, [path], split)
    place = cifar.cifar_at(path)
    if place is not None:
        return cifar.read_cifar(place, split)
    if _IDX_NAME.search(name) or _begins_like_idx(path):
        pair = pair_of(path)
        return read_idx_sets({pair.split: pair}, _lone_split(split, pair.split), name=str(path))
    if path.suffix.lower() in SUFFIXES:
        raise UsageError(f"{path} is one image, not a set of images", f"Name its folder: {path.parent}")
    raise UsageError(
        f"{path} is not a set of images",
        "Understood are folders of images, .zip of them, .npz, .npy, IDX, .parquet, WebDataset .tar, and names "
        "(`synthgen data list`).",
    )


def _lone_split(asked: str, held: str) -> str:
    """A file that was named is the data that is wanted, whatever its name says; only a test must be a test."""
    return held if asked == "train" and held == "test" else asked


def _begins_like_idx(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(3) == b"\0\0\x08"
