"""Sequences as one npz file: arrays with fixed dates in the archive, so that the same sequences give the same bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from synthgen.generation.contents import Opened

_CHUNK = 2**20
"""Bytes that the packer is handed at once: always the same, whatever pieces they come in."""


def piece_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A piece of an archive: the same layout, not packed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), _npy(array))
    return buffer.getvalue()


def join_archives(pieces: Iterable[Opened], target: Path, whole: Mapping[str, np.ndarray]) -> None:
    """One archive of several: arrays are put together along their first axis, but for those in `whole`, which it has
    once. Memory: one array of one piece."""
    opened = list(pieces)
    heads = [_heads(piece) for piece in opened]
    names = [name for name in heads[0] if name not in whole]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in names:
            first = heads[0][name]
            dtype = np.result_type(*(head[name][1] for head in heads))
            shape = (sum(head[name][0][0] for head in heads), *first[0][1:])
            with archive.open(_member(f"{name}.npy"), "w", force_zip64=True) as file:
                descr = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, descr)
                for data in _even(_parts(opened, name, dtype)):
                    file.write(data)
        for name, array in whole.items():
            archive.writestr(_member(f"{name}.npy"), _npy(array))


def _parts(opened: list[Opened], name: str, dtype: np.dtype) -> Iterator[bytes]:
    for piece in opened:
        with piece() as file, np.load(file, allow_pickle=False) as arrays:
            yield np.ascontiguousarray(arrays[name].astype(dtype, copy=False)).tobytes()


def _even(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks of one size."""
    held = bytearray()
    for part in parts:
        held += part
        while len(held) >= _CHUNK:
            yield bytes(held[:_CHUNK])
            del held[:_CHUNK]
    if held:
        yield bytes(held)


def _heads(piece: Opened) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of each array, without its values."""
    found = {}
    with piece() as file, zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                version = np.lib.format.read_magic(member)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(member)
            found[name.removesuffix(".npy")] = (shape, dtype)
    return found


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()
