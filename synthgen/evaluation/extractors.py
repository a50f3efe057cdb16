"""Feature extractors: what `--features` names, and how features are computed once for all metrics."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from synthgen.errors import StoppedError, UsageError
from synthgen.evaluation.cache import ArrayCache, Arrays, pixel_digest
from synthgen.generation.parallel import in_order
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop


@dataclass(frozen=True)
class Features:
    """features: float32 (N, d). logits: float32 (N, K), or None when the extractor reads no classes."""

    features: np.ndarray
    logits: np.ndarray | None

    def __len__(self) -> int:
        return len(self.features)

    def take(self, index: np.ndarray | slice) -> Features:
        """The rows in `index`."""
        return Features(self.features[index], None if self.logits is None else self.logits[index])


_VERSION = 1
"""Raised when the same weights give other features than before: what was kept is then computed anew."""


@dataclass(frozen=True)
class Extractor:
    """A feature extractor of torch-fidelity, ready on its device.

    name: what every figure is labelled with. module: made by `torch_fidelity.utils.create_feature_extractor`.
    layer, logits_layer: the names of its outputs. channels: of the images it takes; 3 also takes grey ones.
    class_names: what its logits mean in terms of the data's own classes; empty when they mean something else.
    card: where it comes from: training images, steps, accuracy, file.
    """

    name: str
    module: FeatureExtractorBase
    layer: str
    logits_layer: str | None
    channels: int
    batch_size: int
    class_names: tuple[str, ...] = ()
    card: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of the weights and of all else that features depend on."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.module.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        scale = getattr(self.module, "scale", None)
        kind = type(self.module).__qualname__
        digest.update(repr((_VERSION, kind, scale, self.layer, self.logits_layer, self.channels)).encode())
        return digest.hexdigest()

    def features_of(
        self,
        images: np.ndarray,
        cache: ArrayCache,
        *,
        label: str = "reading images",
        should_stop: ShouldStop = never_stop,
        reporter: Reporter | None = None,
    ) -> Features:
        """As `extract`, but from `cache` where these images were read by these weights before."""

        def compute() -> Arrays:
            found = self.extract(images, label=label, should_stop=should_stop, reporter=reporter)
            return {"features": found.features} | ({} if found.logits is None else {"logits": found.logits})

        if not cache.keeps:
            arrays = compute()
        else:
            arrays = cache.get({"what": "features", "images": pixel_digest(images), "by": self.digest}, compute)
        return Features(arrays["features"], arrays.get("logits"))

    def extract(
        self,
        images: np.ndarray,
        *,
        label: str = "reading images",
        should_stop: ShouldStop = never_stop,
        reporter: Reporter | None = None,
    ) -> Features:
        """Features of uint8 images (N, H, W, C). Raises UsageError for wrong channels, StoppedError when stopped."""
        if images.shape[-1] not in (self.channels, 1):
            raise UsageError(
                f"the features {self.name} are made for images of {self.channels} channel, not {images.shape[-1]}",
                "choose --features domain or --features inception",
            )
        device = next(self.module.parameters()).device
        starts = range(0, len(images), self.batch_size)

        def read(index: int) -> dict[str, np.ndarray]:
            pixels = torch.from_numpy(np.ascontiguousarray(images[starts[index] : starts[index] + self.batch_size]))
            with torch.inference_mode():
                pixels = pixels.permute(0, 3, 1, 2).expand(-1, self.channels, -1, -1)
                found = self.module.convert_features_tuple_to_dict(self.module(pixels.to(device)))
                return {name: values.float().cpu().numpy() for name, values in found.items()}

        rows: dict[str, list[np.ndarray]] = {}
        batches = cast("Generator[dict[str, np.ndarray]]", in_order(read, len(starts), device))
        with closing(batches), (reporter or NullReporter()).progress(label, len(images), "images") as progress:
            for start, found in zip(starts, batches, strict=True):
                if should_stop():
                    raise StoppedError(f"stopped after reading {start:,} of {len(images):,} images")
                for name, values in found.items():
                    rows.setdefault(name, []).append(values)
                progress.update(min(len(images), start + self.batch_size))
        joined = {name: np.concatenate(parts) for name, parts in rows.items()}
        return Features(joined[self.layer], joined.get(self.logits_layer or ""))


def single_channel(images: torch.Tensor) -> torch.Tensor:
    """Grey (N, 1, H, W) of uint8 images (N, 1 or 3, H, W): torch-fidelity itself hands grey images over as RGB."""
    return images if images.shape[1] == 1 else images.float().mean(dim=1, keepdim=True).round().byte()
