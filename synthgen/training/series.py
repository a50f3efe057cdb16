"""Series as the subject of a run: which windows to load, how they become batches, what a preview is."""

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
from synthgen.config.schema import LENGTHS
from synthgen.config.series import SeriesConfig, window_for
from synthgen.data.series.codec import EncodedSeries, SeriesCodec
from synthgen.data.series.independence import grouped, may_be_grouped
from synthgen.data.series.reading import read_series
from synthgen.data.series.schema import SeriesData
from synthgen.diffusion.series import build_series_denoiser
from synthgen.errors import UsageError
from synthgen.generation.noise import noise
from synthgen.outputs import atomic_write
from synthgen.rendering import curves, png_bytes
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop
from synthgen.training.batches import Order, mix
from synthgen.training.series_known import draw_known
from synthgen.training.series_shares import measure_shares
from synthgen.training.subject import Draws

CODEC_PREFIX = "codec."
"""Before the names of the codec's tensors in a model's file."""

_PREVIEW = 8
_PREVIEW_CHANNELS = 6
_VALIDATION_WINDOWS = 2048
"""Windows held out at most: enough for a steady mean."""


def load_data(
    config: SeriesConfig, reporter: Reporter | None = None, should_stop: ShouldStop = never_stop
) -> SeriesData:
    """The training part of the series that a config names, with the validation part as its `held_out`."""
    reporter = reporter or NullReporter()
    return read_series(config.data.source, config.data, split="train", reporter=reporter, should_stop=should_stop)


def settled(config: SeriesConfig, data: SeriesData) -> SeriesConfig:
    """The settings as they are used for `data`: window, batch, length of training and dropout."""
    longest = int(data.lengths.max(initial=0))
    window = window_for(config.data.window, longest, len(data))
    windows = int((np.maximum(data.lengths - window, 0) // (config.data.stride or 1) + 1).sum())
    apart = int(np.maximum(data.lengths // window, 1).sum())
    asked = any(getattr(config.training, name) is not None for name in LENGTHS)
    groups = 1 if asked or not may_be_grouped(data.schema, window, apart) else _groups(config, data, window)
    return config.for_lengths(longest, windows, len(data), apart, groups)


def _groups(config: SeriesConfig, data: SeriesData, window: int) -> int:
    """Into how many groups the channels will fall."""
    codec = SeriesCodec.fit(data, config.data.model_copy(update={"window": window}))
    return len({part.group for part in grouped(codec, codec.encode(data, config.data.stride)).parts}) or 1


@dataclass
class WindowBatch:
    """Rows `rows` of a batch. x0: float32 (B, L, D) and valid: bool (B, L), on the device."""

    x0: torch.Tensor
    valid: torch.Tensor
    epoch: int
    rows: slice


class WindowBatches:
    """The windows to learn from, in an order that depends on the seed and the epoch alone."""

    def __init__(self, encoded: EncodedSeries, batch_size: int, seed: int, device: torch.device) -> None:
        self.batch_size, self.device, self._encoded = batch_size, device, encoded
        self._order = Order(len(encoded), batch_size, seed)

    def indices(self, step: int) -> np.ndarray:
        """The windows of batch number `step` (from 0); batches run across the ends of epochs."""
        return self._order.indices(step)

    def __call__(self, step: int, rows: slice | None = None) -> WindowBatch:
        """Batch number `step`, or only some consecutive `rows` of it."""
        rows = rows or slice(0, self.batch_size)
        x0, valid = self._encoded.gather(devices.sent(self.indices(step)[rows], self.device))
        return WindowBatch(x0, valid, (step + 1) * self.batch_size // len(self._encoded), rows)


class SeriesSubject:
    """A transformer that learns windows; see `synthgen.training.subject.Subject`."""

    unit = UNITS["series"]

    def __init__(self, config: SeriesConfig, data: SeriesData, device: torch.device) -> None:
        self.config, self.device = config, device
        if data.steps < 2:
            raise UsageError(f"{data.name} has {data.steps} step(s): there is nothing to learn", "give more steps")
        self.codec = SeriesCodec.fit(data, config.data)
        if not any(part.role == "channel" for part in self.codec.parts):
            raise UsageError(
                f"no channel of {data.name} can be learned: all are constants or empty",
                "`synthgen data inspect` shows what each column was taken for; data.columns changes it",
            )
        self.name, self.skipped = data.name, len(data.skipped)
        self._windows = self.codec.encode(data, config.data.stride).to(device)
        self.codec = grouped(self.codec, self._windows)
        precision = devices.pick_precision(config.training.precision, device)
        self._denoiser = build_series_denoiser(config, self.codec, precision).to(device)
        self.denoiser: nn.Module = self._denoiser
        self._denoiser.network.start_from(self._windows.gather, len(self._windows))
        held = data.held_out
        self._held_out = None if held is None or not held.steps else self.codec.encode(held).to(device)
        self.facts: dict[str, Any] = {
            "name": data.name,
            "split": data.split,
            "count": len(data),
            "fingerprint": data.fingerprint,
            "licence": data.licence,
            "skipped": self.skipped,
            "windows": len(self._windows),
            "held_out": 0 if self._held_out is None else len(self._held_out),
        }

    def __len__(self) -> int:
        return len(self._windows)

    def describe(self) -> dict[str, Any]:
        """What is learned from, in a few plain facts for people."""
        channels, groups = len(self.codec.schema.channels), self._denoiser.network.groups.count
        apart = f" in {groups:,} groups that do not depend on each other" if groups > 1 else ""
        return {
            "data": f"{self.name}, {self.facts['count']:,} sequence(s) of {channels:,} channel(s){apart}",
            "windows": f"{len(self):,} of {self.codec.window:,} steps",
            "classes": len(self.codec.classes),
            "held_out": self.facts["held_out"],
        }

    def batches(self) -> WindowBatches:
        """The windows to learn from, batch by batch."""
        settings = self.config.training
        return WindowBatches(self._windows, settings.batch_size, settings.seed, self.device)

    def draw(self, batch: WindowBatch, step: int, progress: float) -> Draws:
        """Known cells, noise levels and noise; see `Subject.draw`."""
        size = self.config.training.batch_size
        generator = torch.Generator(self.device).manual_seed(mix(self.config.training.seed, "noise", step))
        known, uniform, epsilon = self._random(size, generator)
        rows = batch.rows
        return Draws((batch.x0, batch.valid, known[rows], uniform[rows], epsilon[rows]))

    def _random(self, size: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        codec, device = self.codec, self.device
        known = draw_known(codec.parts, codec.window, size, self.config.diffusion.known, generator, device)
        epsilon = torch.randn(size, codec.window, codec.dimensions, generator=generator, device=device)
        # Stratified: one level from each of B equal shares of the distribution, which lowers the loss's variance.
        jitter = torch.rand(size, generator=generator, device=device)
        return known, (torch.arange(size, device=device) + jitter) / size, epsilon

    def loss(self, denoiser: Any, *parts: torch.Tensor | None) -> torch.Tensor:
        """See `SeriesDenoiser.loss`."""
        losses: torch.Tensor = denoiser.loss(*parts)
        return losses

    def header(self) -> Header:
        """The columns and the codec; its tensors stand beside the weights."""
        return {"schema": self.codec.schema.to_dict(), "codec": self.codec.to_dict()}

    def tensors(self) -> Tensors:
        return {CODEC_PREFIX + name: tensor for name, tensor in self.codec.tensors().items()}

    @torch.no_grad()
    def finished(self, weights: Tensors) -> Tensors:
        """The weights with what completions need; see `synthgen.training.series_shares`."""
        with torch.random.fork_rng(devices=[]):  # not a copy: the denoiser's own weights may lie in pieces
            denoiser = build_series_denoiser(self.config, self.codec, self._denoiser.precision).to(self.device).eval()
        denoiser.network.load_state_dict(weights)
        windows = self._windows if self._held_out is None else self._held_out
        measure_shares(denoiser, windows.gather, len(windows), self.config.training.seed)
        measured: Tensors = dict(denoiser.network.state_dict())
        return measured

    @torch.no_grad()
    def validation(self, denoiser: Any) -> float | None:
        """Mean loss of the validation part's windows, always with the same random numbers; None when there are none."""
        windows = self._held_out
        if windows is None:
            return None
        generator = torch.Generator(self.device).manual_seed(mix(self.config.training.seed, "held out"))
        count = min(len(windows), _VALIDATION_WINDOWS)
        index = torch.linspace(0, len(windows) - 1, count, device=self.device).long()
        levels = torch.randperm(count, generator=generator, device=self.device)
        total, size = 0.0, self.config.training.batch_size
        for start in range(0, count, size):  # piece by piece: long windows of many channels are large
            x0, valid = windows.gather(index[start : start + size])
            known, uniform, epsilon = self._random(len(x0), generator)
            uniform = (levels[start : start + size] + uniform * len(x0) % 1) / count
            total += float(denoiser.loss(x0, valid, known, uniform, epsilon).double().sum())
        return total / count

    @property
    def preview_calls(self) -> float:
        """Windows that go through the network for one preview."""
        return float(_PREVIEW * 2 * self.config.sampling.steps)

    @torch.no_grad()
    def preview(self, denoiser: Any, run: Path, step: int, reporter: Reporter) -> None:
        """The first few windows as curves, a row for each channel."""
        keys, codec, sampling = np.arange(_PREVIEW), self.codec, self.config.sampling
        shape = (codec.window, codec.dimensions)
        frame = codec.draw(keys, 0)
        given, known, valid = (part.to(self.device) for part in (frame.given, frame.known, frame.valid))
        x = denoiser.sample(
            torch.from_numpy(noise(0, keys, shape)).to(self.device),
            given=given,
            known=known,
            valid=valid,
            sampler=sampling.sampler,
            steps=sampling.steps,
            fresh=lambda draw: torch.from_numpy(noise(0, keys, shape, draw + 1)).to(self.device),
            guidance_scale=sampling.guidance_scale,
        )
        values = codec.arrays(x.float().cpu(), frame.valid.sum(1).numpy())
        picture = curves(values[..., :_PREVIEW_CHANNELS])
        path = run / "previews" / f"step-{step:08d}.png"
        atomic_write(path, png_bytes(picture, scale=2))
        reporter.preview(picture, f"samples at step {step:,}", path)
