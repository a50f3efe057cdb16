"""One optimizer step, and the state that a resumed run needs."""

from __future__ import annotations

from typing import Any

import torch

from synthgen.config.schema import Config
from synthgen.data.dataset import ImageCodec
from synthgen.diffusion.denoiser import Denoiser
from synthgen.training.batches import Batch, Batches, augment, mix
from synthgen.training.ema import WeightAverage
from synthgen.training.schedule import learning_rate

Tensors = dict[str, torch.Tensor]


class Trainer:
    """Weights, average and optimizer of a run. `step` optimizer steps are done, `images_seen` images were used."""

    def __init__(self, config: Config, denoiser: Denoiser, codec: ImageCodec, device: torch.device) -> None:
        self.config, self.denoiser, self.codec, self.device = config, denoiser, codec, device
        settings = config.training
        self.average = WeightAverage(denoiser, settings.ema_half_life)
        fused = device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.AdamW(
            denoiser.parameters(),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            fused=fused,
        )
        self.step = 0
        self._sums = torch.zeros(2, device=device)  # loss and gradient norm since the last report: no sync per step
        self._count = 0
        self._rate = 0.0
        self._epoch = 0

    @property
    def images_seen(self) -> int:
        return self.step * self.config.training.batch_size

    def train_step(self, batches: Batches, progress: float) -> None:
        """Step on batch number `self.step`; `progress` in [0, 1] sets the learning rate."""
        settings = self.config.training
        self._rate = learning_rate(progress, settings.learning_rate, settings.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate
        batch = batches(self.step)
        self._epoch = batch.epoch
        loss = self._loss(batch).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.denoiser.parameters(), settings.gradient_clip, foreach=True)
        self.optimizer.step()
        self.step += 1
        self.average.update(self.denoiser, settings.batch_size, self.images_seen)
        self._sums += torch.stack([loss.detach(), norm.detach()])
        self._count += 1

    def _loss(self, batch: Batch) -> torch.Tensor:
        """Random numbers come from (seed, step): a resumed run draws the same ones without any saved generator."""
        generator = torch.Generator(self.device).manual_seed(mix(self.config.training.seed, "noise", self.step))
        size = len(batch.images)
        torch.manual_seed(mix(self.config.training.seed, "dropout", self.step))
        images = augment(batch.images, self.config.data.augment, generator)
        x0 = self.codec.encode(images)
        noise = torch.randn(x0.shape, generator=generator, device=self.device)
        # Stratified: one level from each of B equal shares of the distribution, which lowers the loss's variance.
        jitter = torch.rand(size, generator=generator, device=self.device)
        uniform = (torch.arange(size, device=self.device) + jitter) / size
        labels = batch.labels
        if self.denoiser.null_label is not None and labels is not None:
            drop = torch.rand(size, generator=generator, device=self.device) < self.config.diffusion.label_dropout
            labels = labels.masked_fill(drop, self.denoiser.null_label)
        diffusion = self.config.diffusion
        return self.denoiser.loss(x0, labels, uniform, noise, diffusion.loss_weight, diffusion.min_snr_gamma)

    def drain(self, interval: float) -> dict[str, Any] | None:
        """Means since the last call, over `interval` seconds; the only place that waits for the device."""
        if self._count == 0:
            return None
        loss, norm = (self._sums / self._count).tolist()
        row = {
            "step": self.step,
            "images": self.images_seen,
            "epoch": self._epoch,
            "loss": loss,
            "gradient_norm": norm,
            "learning_rate": self._rate,
            "images_per_second": self._count * self.config.training.batch_size / interval,
        }
        self._sums.zero_()
        self._count = 0
        return row

    def weights(self) -> Tensors:
        """The averaged weights of the network, by name."""
        return dict(self.average.model.network.state_dict())  # type: ignore[union-attr]

    def state(self) -> Tensors:
        """All that a resumed run needs: live weights, averaged weights, the optimizer's moments."""
        tensors = {f"raw.{name}": value for name, value in self.denoiser.network.state_dict().items()}
        tensors |= {f"ema.{name}": value for name, value in self.weights().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        return tensors

    def restore(self, tensors: Tensors, step: int) -> None:
        """Take over what `state` gave after `step` steps."""
        self.denoiser.network.load_state_dict(_part(tensors, "raw."))
        self.average.model.network.load_state_dict(_part(tensors, "ema."))  # type: ignore[union-attr]
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in _part(tensors, "optimizer.").items():
            index, key = name.split(".", 1)
            moments.setdefault(int(index), {})[key] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self.step = step


def _part(tensors: Tensors, prefix: str) -> Tensors:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
