"""What trained classifiers answered, kept on disk: an interrupted experiment does not train them again."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from synthgen.outputs import atomic_write
from synthgen.reporting import Reporter


@dataclass(frozen=True)
class Answers:
    """A classifier's answers to N test images: read int64 (N,), confidence float32 (N,), in (0, 1]."""

    read: np.ndarray
    confidence: np.ndarray


def answers_of(logits: np.ndarray) -> Answers:
    """The most probable class of logits (N, K), and its softmax probability."""
    shifted = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float64))
    return Answers(logits.argmax(axis=1).astype(np.int64), (1.0 / shifted.sum(axis=1)).astype(np.float32))


class Store:
    """A folder of answers, one small npz per trained classifier; without a folder nothing is kept."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def get(self, key: str, count: int, reporter: Reporter) -> Answers | None:
        """The answers kept under `key` to `count` images; a damaged file is named and counts as none."""
        path = self._path(key)
        if path is None or not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                found = Answers(file["read"].astype(np.int64), file["confidence"].astype(np.float32))
            if len(found.read) != count or len(found.confidence) != count:
                raise ValueError(f"it holds {len(found.read):,} answers, not {count:,}")
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            reporter.warn(f"{path} is damaged ({error}); its classifier is trained again")
            return None
        return found

    def put(self, key: str, answers: Answers) -> None:
        """Keep answers under `key`."""
        path = self._path(key)
        if path is None:
            return
        buffer = io.BytesIO()
        np.savez_compressed(buffer, read=answers.read.astype(np.int32), confidence=answers.confidence)
        atomic_write(path, buffer.getvalue())

    def _path(self, key: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{key[:32]}.npz"


def training_key(model: nn.Module, fingerprints: list[str], settings: dict[str, Any]) -> str:
    """sha256 (hex) of all that a trained classifier's answers follow from: module, weights, data, settings."""
    digest = hashlib.sha256(repr(model).encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    digest.update(json.dumps([fingerprints, settings], sort_keys=True).encode())
    return digest.hexdigest()


def settings_key(settings: dict[str, Any]) -> str:
    """sha256 (hex) of settings that say everything the answers follow from."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
