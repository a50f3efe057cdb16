"""One optimizer step, and the state that a resumed run needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from synthgen.config.modalities import AnyConfig
from synthgen.errors import SynthgenError
from synthgen.generation.compiling import compile_in_place
from synthgen.training.batches import mix
from synthgen.training.ema import WeightAverage
from synthgen.training.guards import FiniteGuard, Tally, is_out_of_memory
from synthgen.training.schedule import learning_rate
from synthgen.training.shards import full, like
from synthgen.training.subject import Batches, Draws, Subject
from synthgen.training.watch import Watch
from synthgen.training.world import Tensors, World


class _Loss(nn.Module):
    """The loss as a module's forward pass, which is what engines of distributed training wrap."""

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self.denoiser, self._of = subject.denoiser, subject.loss

    def forward(self, *parts: torch.Tensor | None) -> torch.Tensor:
        return self._of(self.denoiser, *parts)


class Trainer:
    """Weights, average and optimizer of a run. `step` optimizer steps are done, `seen` samples were used.

    micro_batch: samples that this process computes at once; less than its share of the batch once memory ran out.
    """

    def __init__(self, config: AnyConfig, subject: Subject, device: torch.device, world: World | None = None) -> None:
        self.config, self.subject, self.device = config, subject, device
        self.denoiser: Any = subject.denoiser
        self.world = world or World(device)
        settings = config.training
        self.rows = self.world.rows(settings.batch_size)
        share = self.rows.stop - self.rows.start
        self.micro_batch = min(settings.micro_batch or share, share)
        self.average = WeightAverage(self.denoiser, settings.ema_half_life)
        half_life = getattr(settings, "ema_short_half_life", None)
        self.short = None if half_life is None else WeightAverage(self.denoiser, half_life)
        if getattr(settings, "compile", "never") == "always":
            network: Any = self.denoiser.network
            compile_in_place(network, device)
        self._loss = self.world.wrap(_Loss(subject))
        for average in self.averages:
            average.follow(self.denoiser)
        self.watch = Watch(subject, self.average, getattr(settings, "patience", 0))
        self.optimizer = torch.optim.AdamW(
            self.denoiser.parameters(),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            fused=device.type in ("cpu", "cuda"),
        )
        self.guard = FiniteGuard(device, settings.max_bad_steps)
        # The fused kernel of CUDA can be told by a flag on the device to do nothing; elsewhere looking costs nothing.
        self.waits = device.type != "cuda" or self.world.sharded
        self.step = 0
        self.bad_steps = 0
        self._rate = 0.0
        self._epoch = 0
        self._whole: Tensors | None = None

    @property
    def averages(self) -> tuple[WeightAverage, ...]:
        """The averages that are kept: `average`, and `short` where the settings have one."""
        return (self.average,) if self.short is None else (self.average, self.short)

    @property
    def seen(self) -> int:
        return self.step * self.config.training.batch_size

    def facts(self) -> dict[str, Any]:
        """How the steps were computed: what a header and a resumed run should know."""
        whole = self.rows.stop - self.rows.start
        return {
            "micro_batch": None if self.micro_batch == whole else self.micro_batch,
            "bad_steps": self.bad_steps,
            "processes": self.world.size,
            "strategy": self.world.strategy,
            "ema_half_life": self.average.share,
            **self.watch.facts(),
        }

    def train_step(self, batches: Batches, progress: float) -> None:
        """Step on batch number `self.step`; `progress` in [0, 1] sets the learning rate, among others."""
        settings = self.config.training
        self._rate = learning_rate(progress, settings.learning_rate, settings.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate
        batch = batches(self.step, self.rows)
        self._epoch = batch.epoch
        loss = self._gradient(self.subject.draw(batch, self.step, progress))
        norm = full(
            torch.nn.utils.clip_grad_norm_(self.denoiser.parameters(), settings.gradient_clip, foreach=True)
        ).detach()
        fine = self.guard.judge(self.step, loss, norm)
        self.step += 1
        if self.waits:
            if fine:
                self.optimizer.step()
                self._follow()
            return
        self.optimizer.found_inf = (~fine).float()  # type: ignore[attr-defined]  # as torch's GradScaler does
        self.optimizer.step()
        self._follow(fine)

    def _follow(self, only_if: torch.Tensor | None = None) -> None:
        for average in self.averages:
            average.update(self.denoiser, self.config.training.batch_size, self.seen, only_if)

    def _gradient(self, draws: Draws) -> torch.Tensor:
        """Leave the batch's gradient in the parameters and return its mean loss; smaller pieces if memory runs out."""
        while True:
            try:
                return self._accumulate(draws)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self.micro_batch == 1:
                    raise
                if self.world.size > 1:  # the others are waiting inside the same backward pass
                    raise SynthgenError(
                        f"process {self.world.rank} of {self.world.size} ran out of memory at step {self.step + 1:,}",
                        f"resume with --set training.micro_batch={max(1, self.micro_batch // 2)}",
                    ) from error
            # Outside the handler: inside, its traceback would keep alive what has to be freed.
            self.halve()

    def fit(self, batches: Batches) -> None:
        """Find a micro-batch that fits every process, by backward passes whose gradients nobody uses.

        Before the first step, because inside a step the other processes would wait for the one without memory.
        """
        draws = self.subject.draw(batches(self.step, self.rows), self.step, 0.0)
        copies = 0 if self.optimizer.state else 2  # of the weights: the optimizer's moments to come
        spare = [torch.empty_like(weight) for weight in self.denoiser.parameters() for _ in range(copies)]
        while not self._fits(draws.rows(0, self.micro_batch)):
            self.halve()
        del spare
        self.optimizer.zero_grad(set_to_none=True)
        self.micro_batch = self.world.smallest(self.micro_batch)

    def _fits(self, part: Draws) -> bool:
        try:
            with self.world.unsynchronised(self._loss, True):
                self._loss(*part.parts).sum().backward()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or self.micro_batch == 1:
                raise
            return False
        return True

    def halve(self) -> None:
        """Compute half as many samples at once from now on."""
        self.micro_batch = (self.micro_batch + 1) // 2
        self.optimizer.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _accumulate(self, draws: Draws) -> torch.Tensor:
        """One backward pass per micro-batch; gradients are exchanged between processes in the last one only."""
        ranks = () if self.world.rank == 0 else (self.world.rank,)
        torch.manual_seed(mix(self.config.training.seed, "dropout", self.step, *ranks))
        size = self.config.training.batch_size
        total: torch.Tensor | None = None
        for start in range(0, len(draws), self.micro_batch):
            part = draws.rows(start, start + self.micro_batch)
            last = start + self.micro_batch >= len(draws)
            with self.world.unsynchronised(self._loss, not last):
                losses = self._loss(*part.parts)
                if start == 0:
                    self.optimizer.zero_grad(set_to_none=True)
                loss = losses.mean() if len(part) == size else losses.sum() / size
                # An engine averages over the processes what they leave; the batch's gradient is their sum.
                (loss * self.world.size if self.world.size > 1 else loss).backward()
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None
        return self.world.sum(total)

    def drain(self, interval: float) -> tuple[dict[str, Any], Tally] | None:
        """A row of metrics since the last call, over `interval` seconds; the only place that waits for the device."""
        tally = self.guard.read()
        steps = tally.good + tally.bad
        if steps == 0:
            return None
        self.bad_steps += tally.bad
        row = {
            "step": self.step,
            self.subject.unit: self.seen,
            "epoch": self._epoch,
            "loss": tally.loss / tally.good if tally.good else None,
            "gradient_norm": tally.norm / tally.good if tally.good else None,
            "learning_rate": self._rate,
            f"{self.subject.unit}_per_second": steps * self.config.training.batch_size / interval,
            "micro_batch": self.micro_batch,
            "bad_steps": self.bad_steps,
        }
        return row, tally

    @contextmanager
    def whole(self) -> Iterator[None]:
        """A block in which `state`, `weights` and `average.model` hold whole tensors; entered by every process."""
        if self.world.sharded:
            gathered = ((name, full(tensor)) for name, tensor in self._tensors().items())
            self._whole = {name: tensor.cpu() for name, tensor in gathered if self.world.main}
            if self.world.main:
                self.average.model.network.load_state_dict(_part(self._whole, "ema."))  # type: ignore[union-attr]
        yield
        self._whole = None

    def weights(self) -> Tensors:
        """The averaged weights of the network, by name: the last ones, or those of the best check with patience."""
        if self.watch.best is not None:
            return dict(self.watch.best)
        return dict(self.average.model.network.state_dict())  # type: ignore[union-attr]

    def state(self) -> Tensors:
        """All that a resumed run needs: live weights, averaged weights, the optimizer's moments."""
        return self._tensors() if self._whole is None else self._whole

    def _tensors(self) -> Tensors:
        tensors = {f"raw.{name}": value for name, value in self.denoiser.network.state_dict().items()}
        for prefix, average in zip(("ema.", "short."), self.averages, strict=False):
            tensors |= {prefix + name: value for name, value in average.state("network.").items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        tensors |= {f"best.{name}": value for name, value in (self.watch.best or {}).items()}
        return tensors

    def restore(self, tensors: Tensors, step: int, facts: dict[str, Any] | None = None) -> None:
        """Take over what `state` gave after `step` steps, and what `facts` said then."""
        self.watch.restore(facts or {}, _part(tensors, "best."))
        _fill(dict(self.denoiser.network.state_dict()), _part(tensors, "raw."))
        _fill(self.average.state("network."), _part(tensors, "ema."))
        if self.short is not None:  # a state from before there were two: the shorter one begins where the other is
            _fill(self.short.state("network."), _part(tensors, "short.") or _part(tensors, "ema."))
        parameters = list(self.denoiser.parameters())
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in _part(tensors, "optimizer.").items():
            index, key = name.split(".", 1)
            pattern = parameters[int(index)]
            placed = value if value.shape != pattern.shape else like(value, pattern)
            moments.setdefault(int(index), {})[key] = placed
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self.step = step


def _part(tensors: Tensors, prefix: str) -> Tensors:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


@torch.no_grad()
def _fill(targets: Tensors, values: Tensors) -> None:
    """Copy whole tensors into a network's own, by name."""
    if targets.keys() != values.keys():
        odd = sorted(targets.keys() ^ values.keys())
        raise SynthgenError(f"the state does not fit the network: {odd[0]} and {len(odd) - 1} more")
    for name, target in targets.items():
        if target.shape != values[name].shape:
            raise SynthgenError(f"the state does not fit the network: {name} is {tuple(values[name].shape)}")
        target.copy_(like(values[name], target))
