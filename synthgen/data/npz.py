"""Images in `.npz` and `.npy` files: headers first, so that a lie about the size costs nothing; never a pickle."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from synthgen.data.arrays import ArraySet, check_claim, to_labels, to_nhwc, to_uint8
from synthgen.data.contents import About, check_split
from synthgen.errors import UsageError

_BROKEN = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)
"""What a damaged, encrypted or strangely packed archive raises."""

_IMAGES = ("images", "x", "X", "arr_0", "data", "samples")
_LABELS = ("labels", "y", "Y", "label", "arr_1")
_SPLIT_KEYS = {  # Keras' mnist.npz, and MedMNIST
    "train": (("x_train", "y_train"), ("train_images", "train_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels"), ("val_images", "val_labels")),
}


def read_npz(path: Path, split: str) -> ArraySet:
    """The images and labels of an .npz file. Raises UsageError naming the file and array that are wrong."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
            pairs = _pairs(path, members)
            asked = check_split(split, tuple(pairs), str(path))
            chosen = list(pairs) if asked == "all" else [asked]
            class_names = _class_names(archive, members, path)
            images = [_images(archive, members[pairs[part][0]], path) for part in chosen]
            labels, names = _all_labels(archive, members, pairs, class_names, path)
    except _BROKEN as error:
        raise _unreadable(path, error) from error
    if len({part.shape[1:] for part in images}) > 1:
        raise UsageError(f"{path}: the splits differ in shape: {' and '.join(str(part.shape) for part in images)}")
    counts = {part: len(array) for part, array in zip(chosen, images, strict=True)}
    for part, count in counts.items():
        if labels and len(labels[part]) != count:
            raise UsageError(
                f"{path}: {pairs[part][1]} holds {len(labels[part]):,} labels for {count:,} images in {pairs[part][0]}"
            )
    pixels = images[0] if len(images) == 1 else np.concatenate(images)
    together = np.concatenate([labels[part] for part in chosen]) if labels else None
    return ArraySet(pixels, About(str(path), asked, together, names, tuple(pairs)))


def array_heads(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and type of every array in an .npz file, by name; no values are read. Raises UsageError."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = {}
            for member in archive.namelist():
                if member.endswith(".npy"):
                    name = member.removesuffix(".npy")
                    with archive.open(member) as stream:
                        shape, _, dtype = _header(stream, f"{path}: {name}")
                    found[name] = (shape, dtype)
            return found
    except _BROKEN as error:
        raise _unreadable(path, error) from error


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """These arrays of an .npz file, as they are stored. Raises UsageError naming the file and array that are wrong."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: _read(archive, f"{name}.npy", f"{path}: {name}") for name in names}
    except _BROKEN as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UsageError:
    return UsageError(f"{path} is not a readable .npz file: {error}", "Save it again with numpy.savez.")


def read_npy(path: Path, split: str) -> ArraySet:
    """The images of an .npy file, memory-mapped where they are uint8 (N, H, W, C) already."""
    asked = check_split(split, ("all",), str(path))
    array = read_single(path)
    return ArraySet(to_nhwc(to_uint8(array, str(path)), str(path)), About(str(path), asked, None, ()))


def array_head(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the array in an .npy file. Raises UsageError."""
    try:
        with path.open("rb") as stream:
            shape, _, dtype = _header(stream, str(path))
            return shape, dtype
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def read_single(path: Path) -> np.ndarray:
    """The array of an .npy file, memory-mapped. Raises UsageError for what is damaged or holds no plain values."""
    try:
        with path.open("rb") as stream:
            shape, _, dtype = _header(stream, str(path))
            check_claim(str(path), math.prod(shape) * dtype.itemsize, path.stat().st_size)
            expected = stream.tell() + math.prod(shape) * dtype.itemsize
        if path.stat().st_size != expected:
            raise UsageError(f"{path} is damaged: {path.stat().st_size:,} bytes where its header promises {expected:,}")
        array: np.ndarray = np.load(path, mmap_mode="c", allow_pickle=False)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    return array


def _pairs(path: Path, members: dict[str, str]) -> dict[str, tuple[str, str | None]]:
    """Split -> (key of the images, key of the labels)."""
    found: dict[str, tuple[str, str | None]] = {}
    for split, candidates in _SPLIT_KEYS.items():
        for images, labels in candidates:
            if images in members and split not in found:
                found[split] = (images, labels if labels in members else None)
    if found:
        return found
    key = next((name for name in _IMAGES if name in members), None)
    if key is None:
        raise UsageError(
            f"{path} holds no images: its arrays are {', '.join(members) or 'none'}",
            "Name the array `images` (and the labels `labels`).",
        )
    return {"all": (key, next((name for name in _LABELS if name in members), None))}


def _images(archive: zipfile.ZipFile, member: str, path: Path) -> np.ndarray:
    where = f"{path}: {member.removesuffix('.npy')}"
    return to_nhwc(to_uint8(_read(archive, member, where), where), where)


def _class_names(archive: zipfile.ZipFile, members: dict[str, str], path: Path) -> tuple[str, ...] | None:
    if "class_names" not in members:
        return None
    where = f"{path}: class_names"
    names = _read(archive, members["class_names"], where)
    if names.ndim != 1 or names.dtype.kind not in "UiuS":
        raise UsageError(f"{where} must be a list of texts, not {names.dtype} of shape {names.shape}")
    texts = names.astype(str).tolist() if names.dtype.kind != "S" else [text.decode("utf-8") for text in names.tolist()]
    if len(set(texts)) != len(texts):
        raise UsageError(f"{where} names a class twice")
    return tuple(texts)


def _all_labels(
    archive: zipfile.ZipFile,
    members: dict[str, str],
    pairs: dict[str, tuple[str, str | None]],
    class_names: tuple[str, ...] | None,
    path: Path,
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Labels of every split, numbered by the classes of all of them; ({}, ()) without labels."""
    keys = {part: key for part, (_, key) in pairs.items() if key is not None}
    if not keys:
        return {}, ()
    if len(keys) < len(pairs):
        raise UsageError(f"{path} has labels for one split only ({', '.join(keys.values())})")
    arrays = {part: _read(archive, members[key], f"{path}: {key}") for part, key in keys.items()}
    flat = {part: a[:, 0] if a.ndim == 2 and a.shape[1] == 1 else a for part, a in arrays.items()}
    for part, values in flat.items():
        if values.ndim != 1:
            raise UsageError(f"{path}: {keys[part]} has shape {values.shape}; one label per image is needed")
    where = f"{path}: {' and '.join(keys.values())}"
    joined = np.concatenate(list(flat.values()))
    labels, names = to_labels(joined, len(joined), class_names, where)
    ends = np.cumsum([len(values) for values in flat.values()])[:-1]
    return dict(zip(flat, np.split(labels, ends), strict=True)), names


def _header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, Fortran order, dtype) from the head of an .npy stream; refuses pickles."""
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise UsageError(f"{where}: version {version} of the npy format is not read here")
    except ValueError as error:
        raise UsageError(f"{where} is not an array: {error}") from error
    if dtype.hasobject:
        raise UsageError(
            f"{where} holds Python objects (a pickle), which can run code when read",
            "Save plain numbers: labels as integers, class names as an array of texts.",
        )
    return shape, fortran, dtype


def _read(archive: zipfile.ZipFile, member: str, where: str) -> np.ndarray:
    with archive.open(member) as stream:
        shape, fortran, dtype = _header(stream, where)
        expected = math.prod(shape) * dtype.itemsize
        check_claim(where, expected, archive.getinfo(member).compress_size)
        values = bytearray()
        # In pieces: a header that lies must not make us allocate what is not there.
        while len(values) < expected:
            piece = stream.read(min(expected - len(values), 1 << 24))
            if not piece:
                raise UsageError(f"{where} is truncated: {len(values):,} of {expected:,} bytes")
            values += piece
    return np.frombuffer(values, dtype).reshape(shape, order="F" if fortran else "C")
