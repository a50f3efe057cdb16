"""How long to train and how fast to learn: a budget of seconds or steps, and the learning rate along it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from synthgen.config.schema import TrainingConfig, parse_duration

DEFAULT_BUDGET = "15m"


@dataclass
class Horizon:
    """The end of training, as a number of steps or as a wall-clock deadline.

    seconds_before: time spent by earlier sessions of a resumed run. reserve: seconds kept for the last checkpoint;
    card: those kept for measuring samplers.
    """

    steps: int | None
    seconds: float | None
    seconds_before: float = 0.0
    reserve: float = 0.0
    card: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since the start of the run, all sessions together."""
        return self.seconds_before + time.monotonic() - self.started

    def progress(self, step: int) -> float:
        """Share of the run that is done before `step`, in [0, 1]."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.seconds is not None
        return min(1.0, self.elapsed / max(1e-9, self.seconds - self.reserve - self.card))

    def finished(self, step: int) -> bool:
        """Whether the run ends before `step`. At least one step is always made."""
        return step > 0 and self.progress(step) >= 1.0


def horizon_of(config: TrainingConfig, count: int, started: float) -> Horizon:
    """The horizon of a run over `count` images that began at monotonic time `started`."""
    if config.steps is not None:
        return Horizon(config.steps, None, started=started)
    if config.epochs is not None:
        return Horizon(max(1, math.ceil(config.epochs * count / config.batch_size)), None, started=started)
    return Horizon(None, parse_duration(config.budget or DEFAULT_BUDGET), started=started)


def learning_rate(progress: float, peak: float, warmup: float) -> float:
    """Linear warm-up over the share `warmup` of the run, then half a cosine down to zero at its end."""
    if progress < warmup:
        return peak * max(progress / warmup, 0.01)
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
