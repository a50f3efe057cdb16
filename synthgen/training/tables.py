"""Tables as the subject of a run: which rows to load, how they become tokens and batches, what a preview is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from synthgen import devices
from synthgen.checkpoints import Header, Tensors
from synthgen.config.modalities import UNITS
from synthgen.config.tables import TableConfig
from synthgen.data.tables.codec import TableCodec
from synthgen.data.tables.reading import read_table
from synthgen.data.tables.schema import TableData
from synthgen.data.tables.writing import format_rows
from synthgen.diffusion.calibration import calibrate
from synthgen.diffusion.masked import MOST_STEPS, MaskedDenoiser
from synthgen.errors import UsageError
from synthgen.generation.tables.building import build_table_denoiser
from synthgen.generation.tables.engine import Given, TableEngine, recipe_of
from synthgen.outputs import atomic_write
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop
from synthgen.training.batches import Order, mix
from synthgen.training.subject import Draws

CODEC_PREFIX = "codec."
"""Before the names of the codec's tensors in a model's file."""

_PREVIEW_ROWS = 10
_VALIDATION_ROWS = 4096
"""Rows held out at most: enough for a steady mean, little beside a large table."""


def load_data(config: TableConfig, reporter: Reporter | None = None, should_stop: ShouldStop = never_stop) -> TableData:
    """The training rows that a config names; of a table with a column `split`, those of its training part."""
    return read_table(
        config.data.source, config.data, split="train", reporter=reporter or NullReporter(), should_stop=should_stop
    )


@dataclass
class RowBatch:
    """Rows `rows` of a batch. tokens: int64 (B, C) and fractions: float32 (B, C), on the device."""

    tokens: torch.Tensor
    fractions: torch.Tensor
    epoch: int
    rows: slice


class RowBatches:
    """The rows to learn from as tokens, in an order that depends on the seed and the epoch alone."""

    def __init__(
        self, tokens: torch.Tensor, fractions: torch.Tensor, batch_size: int, seed: int, device: torch.device
    ) -> None:
        self.batch_size, self.device = batch_size, device
        # Small integers and half floats: a million rows of a hundred columns take 400 MB, not 1.2 GB.
        small = torch.int16 if int(tokens.max()) < 2**15 else torch.int32
        self._tokens, self._fractions = tokens.to(device, small), fractions.to(device, torch.float16)
        self._order = Order(len(tokens), batch_size, seed)

    def indices(self, step: int) -> np.ndarray:
        """The rows of batch number `step` (from 0); batches run across the ends of epochs."""
        return self._order.indices(step)

    def __call__(self, step: int, rows: slice | None = None) -> RowBatch:
        """Batch number `step`, or only some consecutive `rows` of it."""
        rows = rows or slice(0, self.batch_size)
        index = devices.sent(self.indices(step)[rows], self.device)
        tokens, fractions = self._tokens[index].long(), self._fractions[index].float()
        return RowBatch(tokens, fractions, (step + 1) * self.batch_size // len(self._tokens), rows)


class TableSubject:
    """A masked (or Gaussian) diffusion model that learns rows; see `synthgen.training.subject.Subject`."""

    unit = UNITS["tables"]

    def __init__(self, config: TableConfig, data: TableData, device: torch.device) -> None:
        self.config, self.device = config, device
        if len(data) < 2:
            raise UsageError(f"{data.name} has {len(data)} row(s): there is nothing to learn", "give more rows")
        self.codec = TableCodec.fit(data, config.data.bins, config.data.rare, config.data.constraints)
        if not self.codec.columns:
            raise UsageError(
                f"no column of {data.name} can be learned: all are constants or identifiers",
                "`synthgen data inspect` shows what each column was taken for; data.columns changes it",
            )
        self.name, self.skipped = data.name, len(data.skipped)
        precision = devices.pick_precision(config.training.precision, device)
        self.denoiser: nn.Module = build_table_denoiser(config, self.codec, precision).to(device)
        self._split(data)
        self._start()
        self.facts: dict[str, Any] = {
            "name": data.name,
            "split": data.split,
            "count": len(data),
            "fingerprint": data.fingerprint,
            "licence": data.licence,
            "skipped": self.skipped,
            "held_out": len(self._held_out[0]),
        }

    def _split(self, data: TableData) -> None:
        """Encode the rows and put those for validation aside."""
        tokens, fractions = (torch.from_numpy(part) for part in self.codec.encode(data.frame))
        settings = self.config.training
        order = np.random.Generator(np.random.Philox(key=mix(settings.seed, "validation"))).permutation(len(tokens))
        count = min(_VALIDATION_ROWS, int(settings.validation * len(tokens)))
        held = torch.from_numpy(np.sort(order[:count]))
        kept = torch.from_numpy(np.sort(order[count:]))
        self._held_out = (tokens[held].to(self.device), fractions[held].to(self.device))
        self._rows = (tokens[kept], fractions[kept])

    def _start(self) -> None:
        """Begin at the columns' own distributions, which every network would learn first."""
        start = getattr(self.denoiser.network, "start_from", None)
        if start is not None:
            start(self._rows[0])

    def __len__(self) -> int:
        return len(self._rows[0])

    def describe(self) -> dict[str, Any]:
        """What is learned from, in a few plain facts for people."""
        return {
            "data": f"{self.name}, {self.facts['count']:,} rows of {len(self.codec.schema.columns):,} columns",
            "held_out": len(self._held_out[0]),
            "tokens": sum(self.codec.sizes),
        }

    def batches(self) -> RowBatches:
        """The rows to learn from, batch by batch."""
        settings = self.config.training
        return RowBatches(*self._rows, settings.batch_size, settings.seed, self.device)

    def draw(self, batch: RowBatch, step: int, progress: float) -> Draws:
        """Which cells are hidden: an order of the columns, and how many of them are known."""
        size = self.config.training.batch_size
        generator = torch.Generator(self.device).manual_seed(mix(self.config.training.seed, "noise", step))
        order, depth = self._uniforms(size, generator)
        return Draws((batch.tokens, batch.fractions, order[batch.rows], depth[batch.rows]))

    def _uniforms(self, size: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        columns = len(self.codec.columns)
        order = torch.rand(size, columns, generator=generator, device=self.device)
        # Stratified: one depth from each of B equal shares, which lowers the loss's variance.
        jitter = torch.rand(size, generator=generator, device=self.device)
        return order, (torch.arange(size, device=self.device) + jitter) / size

    def loss(self, denoiser: Any, *parts: torch.Tensor | None) -> torch.Tensor:
        """See `MaskedDenoiser.loss`."""
        losses: torch.Tensor = denoiser.loss(*parts)
        return losses

    def header(self) -> Header:
        """The columns and the codec; its tensors stand beside the weights."""
        return {"schema": self.codec.schema.to_dict(), "codec": self.codec.to_dict()}

    def tensors(self) -> Tensors:
        return {CODEC_PREFIX + name: tensor for name, tensor in self.codec.tensors().items()}

    @torch.no_grad()
    def finished(self, weights: Tensors) -> Tensors:
        """The weights with calibrated biases, see `synthgen.diffusion.calibration`; of process gaussian as they are."""
        if not isinstance(self.denoiser, MaskedDenoiser):
            return weights
        with torch.random.fork_rng(devices=[]):  # not a copy: the denoiser's own weights may lie in pieces
            denoiser = build_table_denoiser(self.config, self.codec, self.denoiser.precision).to(self.device).eval()
        denoiser.network.load_state_dict(weights)
        calibrate(denoiser, self._rows[0].to(self.device))
        calibrated: Tensors = dict(denoiser.network.state_dict())
        return calibrated

    @torch.no_grad()
    def validation(self, denoiser: Any) -> float | None:
        """Mean loss of the rows held out, always with the same hidden cells; None when none are."""
        tokens, fractions = self._held_out
        if not len(tokens):
            return None
        generator = torch.Generator(self.device).manual_seed(mix(self.config.training.seed, "held out"))
        order, depth = self._uniforms(len(tokens), generator)
        depth = depth[torch.randperm(len(tokens), generator=generator, device=self.device)]
        size = self.config.training.batch_size
        total = 0.0
        for start in range(0, len(tokens), size):
            part = slice(start, start + size)
            total += float(denoiser.loss(tokens[part], fractions[part], order[part], depth[part]).double().sum())
        return total / len(tokens)

    @property
    def preview_calls(self) -> float:
        """Rows that go through the network for one preview: a row of every step of one block."""
        columns = len(self.codec.columns)
        recipe = recipe_of(self.config.sampling, columns)
        return float(recipe.block_size * min(columns, recipe.steps or MOST_STEPS))

    def preview(self, denoiser: Any, run: Path, step: int, reporter: Reporter) -> None:
        """The first rows as text."""
        columns = len(self.codec.columns)
        recipe = recipe_of(self.config.sampling, columns)
        keys = np.arange(recipe.block_size)
        nothing = np.zeros((len(keys), columns))
        given = Given(nothing.astype(np.int64), nothing.astype(np.float32), nothing.astype(bool))
        tokens, fractions = TableEngine(denoiser, columns, recipe, self.device).block(keys, 0, given)
        few = slice(0, _PREVIEW_ROWS)
        frame = self.codec.decode(tokens[few], fractions[few], keys=keys[few], seed=0)
        text = format_rows(frame, self.codec.schema, header=True)
        atomic_write(run / "previews" / f"step-{step:08d}.csv", text.encode())
