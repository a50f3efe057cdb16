"""What a run trains, seen from the loop: data, denoiser and codec of one modality behind one face."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from synthgen.checkpoints import Header, Tensors
from synthgen.reporting import Reporter


@dataclass(frozen=True)
class Draws:
    """The arguments of a loss for consecutive rows of a batch: tensors with one entry per row, or None."""

    parts: tuple[torch.Tensor | None, ...]

    def __len__(self) -> int:
        return next(len(part) for part in self.parts if part is not None)

    def rows(self, start: int, stop: int) -> Draws:
        """A part of these rows."""
        return Draws(tuple(None if part is None else part[start:stop] for part in self.parts))


class Batch(Protocol):
    """Rows of a batch on the device. epoch: that of the whole batch's last sample."""

    epoch: int


class Batches(Protocol):
    """The training data in an order that depends on the seed and the epoch alone."""

    def indices(self, step: int) -> np.ndarray:
        """The rows of batch number `step` (from 0)."""

    def __call__(self, step: int, rows: slice | None = None) -> Any:
        """Batch number `step`, or only some consecutive `rows` of it."""


class Subject(Protocol):
    """What is trained. unit: what a sample is called, in the plural (`images`, `rows`).

    name: of the data. facts: what a header says of the data; `fingerprint` and `count` among it. skipped: samples
    that could not be read and were left out.
    """

    unit: str
    name: str
    facts: dict[str, Any]
    skipped: int
    denoiser: nn.Module

    def __len__(self) -> int:
        """How many samples there are to learn from."""

    def describe(self) -> dict[str, Any]:
        """What is learned from, in a few plain facts for people."""

    def batches(self) -> Batches:
        """The data, batch by batch."""

    def draw(self, batch: Any, step: int, progress: float) -> Draws:
        """The random numbers of a step for `batch`, which may be a part of the step's batch.

        progress: share of the run that is done, in [0, 1], for what changes along it.

        They come from (seed, step): a resumed run draws the same ones without any saved generator, and each process
        draws those of the whole batch and keeps its own rows, so that the number of processes changes nothing.
        """

    def loss(self, denoiser: Any, *parts: torch.Tensor | None) -> torch.Tensor:
        """The loss of each row, float32 (B,). denoiser: the subject's own, perhaps with sharded weights."""

    def header(self) -> Header:
        """What a model's header says that is the modality's own: codec, classes, columns."""

    def tensors(self) -> Tensors:
        """What belongs into a model's file beside the network's weights, by names that no weight has."""

    def finished(self, weights: Tensors) -> Tensors:
        """The weights of a model from those that training left, by name."""

    def validation(self, denoiser: Any) -> float | None:
        """The loss on samples that are never trained on, always with the same random numbers; None: there are none."""

    @property
    def preview_calls(self) -> float:
        """Samples that go through the network for one preview."""

    def preview(self, denoiser: Any, run: Path, step: int, reporter: Reporter) -> None:
        """Save and show a few samples; always the same sample numbers."""
