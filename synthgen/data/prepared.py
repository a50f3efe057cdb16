"""The prepared cache: images decoded once at their training size, in one file that is mapped instead of read.

A folder of `images.npy` (uint8 (N, H, W, C)), `labels.npy` (int64 (N,), when there are labels) and `meta.json`. Splits
lie one after the other in the same arrays. `synthgen.data.preparing` writes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from synthgen.data.arrays import ArraySet
from synthgen.data.contents import About, Bad, check_split
from synthgen.errors import UsageError

FORMAT = "synthgen-images"
VERSION = 1
HEADER_BYTES = 128


def is_prepared(folder: Path) -> bool:
    """Whether `folder` was made by `synthgen data prepare`."""
    return (folder / "meta.json").is_file() and (folder / "images.npy").is_file()


def read_meta(folder: Path) -> dict[str, Any]:
    """The checked content of meta.json. Raises UsageError when it is damaged or of a later version."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        if meta["format"] != FORMAT:
            raise KeyError("format")
        if meta["version"] > VERSION:
            raise UsageError(
                f"{folder} was prepared by a later version of synthgen", "Update synthgen, or prepare again."
            )
        expected = HEADER_BYTES + meta["count"] * meta["height"] * meta["width"] * meta["channels"]
        found = (folder / "images.npy").stat().st_size
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder} is not a prepared folder, or its meta.json is damaged: {error}") from error
    if found != expected:
        raise UsageError(
            f"{folder}/images.npy is damaged: {found:,} bytes where {expected:,} are expected",
            "Prepare it again with --force.",
        )
    return dict(meta)


def open_prepared(folder: Path, split: str) -> ArraySet:
    """The images of a prepared folder, mapped: nothing is read until it is asked for."""
    meta = read_meta(folder)
    parts: dict[str, dict[str, Any]] = meta["splits"]
    asked = check_split(split, tuple(parts), str(folder))
    chosen = list(parts.values()) if asked == "all" else [parts[asked]]
    start, stop = chosen[0]["start"], chosen[-1]["stop"]
    try:
        # "c": pages are shared with the file until somebody writes to them, which never reaches the file.
        images = np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
        labels = np.load(folder / "labels.npy", allow_pickle=False)[start:stop] if meta["class_names"] else None
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} is damaged: {error}", "Prepare it again with --force.") from error
    if len(images) != meta["count"] or (labels is not None and len(labels) != stop - start):
        raise UsageError(f"{folder} is damaged: its arrays differ in length", "Prepare it again with --force.")
    about = About(meta["name"], asked, labels, tuple(meta["class_names"]), tuple(parts), meta["licence"], keep=True)
    known = meta["fingerprint"] if len(chosen) == len(parts) else chosen[0]["fingerprint"]
    return ArraySet(images[start:stop], about, fingerprint=known)


def skipped_in(folder: Path, split: str) -> tuple[Bad, ...]:
    """The unreadable files that were left out of a prepared split."""
    parts = read_meta(folder)["splits"]
    return tuple(
        Bad(**entry)
        for name, part in parts.items()
        if split in ("all", name) or len(parts) == 1
        for entry in part["skipped"]
    )


def npy_header(shape: tuple[int, ...]) -> bytes:
    """The head of an .npy file of uint8, always 128 bytes, so that it can be written when the count is known."""
    text = repr({"descr": "|u1", "fortran_order": False, "shape": tuple(map(int, shape))})
    body = text.encode("latin1").ljust(HEADER_BYTES - 11) + b"\n"
    assert len(body) == HEADER_BYTES - 10
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body
