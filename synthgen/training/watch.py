"""The watch on samples held out: which averaged weights are kept, and when training goes too far."""

from __future__ import annotations

from typing import Any

from synthgen.checkpoints import Tensors
from synthgen.training.ema import WeightAverage
from synthgen.training.subject import Subject

EVERY = 50
"""Steps between two checks: a number of steps and not of seconds, so that a resumed run checks at the same ones."""


class Watch:
    """Compares the averaged weights' loss on samples that are never trained on, and remembers the best.

    patience: checks without a better loss after which `over` is set; 0: never, and then the last weights are the ones
    that stay, because the likelihood of single rows is no judge of the whole. best: the best averaged weights of the
    network so far; None without patience, before the first check, and where nothing is held out.
    """

    def __init__(self, subject: Subject, average: WeightAverage, patience: int) -> None:
        self.subject, self.average, self.patience = subject, average, patience
        self.best: Tensors | None = None
        self.loss: float | None = None
        self.step = self.since = self.last = 0

    @property
    def over(self) -> bool:
        return bool(self.patience) and self.since >= self.patience

    def look(self, step: int, *, at_end: bool = False) -> None:
        """Check after step number `step`, if it is one at which checks are made."""
        if step == self.last or not (at_end or step % EVERY == 0):
            return
        loss = self.subject.validation(self.average.model)
        if loss is None:
            return
        self.last = step
        if self.loss is not None and not loss < self.loss:
            self.since += 1
            return
        if self.patience:
            self.best = {name: value.clone() for name, value in self.average.state("network.").items()}
        self.loss, self.step, self.since = loss, step, 0

    def facts(self) -> dict[str, Any]:
        """What a header and a resumed run should know; empty where nothing is held out."""
        if self.loss is None:
            return {}
        return {
            "validation_loss": self.loss,
            "best_step": self.step,
            "checks_since_best": self.since,
            "last_check": self.last,
        }

    def restore(self, facts: dict[str, Any], best: Tensors) -> None:
        """Take over what `facts` gave, with the best weights."""
        if "validation_loss" not in facts:
            return
        self.best, self.loss = best or None, float(facts["validation_loss"])
        self.step, self.since = int(facts["best_step"]), int(facts["checks_since_best"])
        self.last = int(facts["last_check"])
