"""What took long to compute, kept in the user's cache: features of images, and whatever a measure wants to keep.

One hashed safetensors file per entry, named by what it was computed from. The folder is kept below a size; what was
not used for longest goes first. An entry that is damaged is computed again and written anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synthgen.checkpoints import load_checkpoint, save_checkpoint
from synthgen.data.dataset import Fingerprint
from synthgen.data.locations import cache_root
from synthgen.errors import SynthgenError
from synthgen.reporting import NullReporter, Reporter

LIMIT_BYTES = 4 * 2**30
"""The entries together take at most this much; 60,000 images have 15 MB of domain features, 490 MB of Inception's."""

_KIND = "arrays"
_STALE_SECONDS = 24 * 3600
"""A temporary file older than this was left by a process that was killed."""

Arrays = dict[str, np.ndarray]


def pixel_digest(images: np.ndarray) -> str:
    """sha256 (hex) of images (N, H, W, C): of pixels and shape, and not of labels."""
    digest = Fingerprint()
    for start in range(0, len(images), 4096):
        digest.add(images[start : start + 4096])
    return digest.finish(images.shape, None, ())


@dataclass(frozen=True)
class ArrayCache:
    """Arrays by key. folder: None keeps nothing on disk. memory: where given, keeps all while the process runs."""

    folder: Path | None = None
    limit_bytes: int = LIMIT_BYTES
    reporter: Reporter = field(default_factory=NullReporter)
    memory: dict[str, Arrays] | None = None

    @property
    def keeps(self) -> bool:
        """Whether anything is kept at all, so that a key is worth computing."""
        return self.folder is not None or self.memory is not None

    def get(self, key: dict[str, Any], compute: Callable[[], Arrays]) -> Arrays:
        """The arrays kept under `key`, or those that `compute` returns, which are then kept.

        key: JSON-ready; all that the arrays depend on: digests of the images and of the extractor, settings, and a
        version of the computation, to be raised when its results change.
        """
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
        if self.memory is None:
            return self._on_disk(name, key, compute)
        if name not in self.memory:
            self.memory[name] = self._on_disk(name, key, compute)
        return self.memory[name]

    def _on_disk(self, name: str, key: dict[str, Any], compute: Callable[[], Arrays]) -> Arrays:
        if self.folder is None:
            return compute()
        path = self.folder / f"{name}.safetensors"
        kept = self._read(path, key)
        if kept is not None:
            return kept
        arrays = compute()
        self._write(path, key, arrays)
        return arrays

    def _read(self, path: Path, key: dict[str, Any]) -> Arrays | None:
        if not path.is_file():
            return None
        try:
            header, tensors = load_checkpoint(path, kind=_KIND)
            if header.get("key") != key:
                raise SynthgenError(f"{path} holds something else than its name says")
            os.utime(path)  # for the order in which entries go
        except FileNotFoundError:  # another process made room just now
            return None
        except (SynthgenError, OSError) as error:
            reason = error.message if isinstance(error, SynthgenError) else str(error)
            self.reporter.warn(f"the cache entry {reason}: computing it again")
            return None
        return {name: tensor.numpy() for name, tensor in tensors.items()}

    def _write(self, path: Path, key: dict[str, Any], arrays: Arrays) -> None:
        size = sum(array.nbytes for array in arrays.values())
        if size > self.limit_bytes:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._make_room(path.parent, size)
            tensors = {name: torch.from_numpy(np.asarray(array, order="C")) for name, array in arrays.items()}
            save_checkpoint(path, tensors, {"kind": _KIND, "key": key})
        except OSError as error:
            self.reporter.warn(f"cannot keep a result in {path.parent}: {error.strerror or error}")

    def _make_room(self, folder: Path, size: int) -> None:
        """Remove what was not used for longest until `size` more bytes are within the limit."""
        entries = []
        for path in folder.iterdir():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.suffix == ".tmp" and time.time() - status.st_mtime > _STALE_SECONDS:
                path.unlink(missing_ok=True)
            elif path.suffix == ".safetensors":
                entries.append((status.st_mtime, status.st_size, path))
        total = size + sum(bytes_ for _, bytes_, _ in entries)
        for _, bytes_, path in sorted(entries):
            if total <= self.limit_bytes:
                return
            path.unlink(missing_ok=True)
            total -= bytes_


def evaluation_cache(*, enabled: bool = True, in_memory: bool = False, reporter: Reporter | None = None) -> ArrayCache:
    """The cache below `SYNTHGEN_CACHE_DIR`; one without files unless `enabled`. in_memory: for several evaluations."""
    folder = cache_root() / "evaluation" if enabled else None
    return ArrayCache(folder, reporter=reporter or NullReporter(), memory={} if in_memory else None)
