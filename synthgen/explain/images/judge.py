"""The judge of images: a classifier trained on the real ones, to which maps are held and which is itself explained."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch

from synthgen.data.dataset import ImageData
from synthgen.downstream.classifier import classify
from synthgen.explain.attribution import Check
from synthgen.explain.audit import shuffled
from synthgen.models.classifier import ConvClassifier

_BATCH = 512


@dataclass(frozen=True, eq=False)
class Judge:
    """A classifier and what it is worth.

    network: logits of encoded images. columns: int64 (K,), where the model's classes stand among its logits.
    accuracy: share of `count` images read right; `seen` says which images these were. chance: 1 / classes.
    """

    network: ConvClassifier
    columns: np.ndarray
    accuracy: float
    count: int
    seen: str

    @property
    def chance(self) -> float:
        return 1.0 / len(self.columns)

    @property
    def knows(self) -> bool:
        """Whether it is right more often than guessing, by two standard errors."""
        error = np.sqrt(self.chance * (1 - self.chance) / max(1, self.count))
        return bool(self.accuracy > self.chance + 2 * error)

    @property
    def check(self) -> Check:
        """What its opinion is worth."""
        word = "the judge knows its subject" if self.knows else "the judge knows no better than chance"
        told = f"it names {100 * self.accuracy:.1f} % of {self.count:,} {self.seen} right (guessing: "
        return Check("judge", self.accuracy, f"{word}: {told}{100 * self.chance:.1f} %)")

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """float32 (M, K) of the model's classes; images encoded, on any device, gradients pass."""
        place = next(self.network.parameters()).device
        found: torch.Tensor = self.network(images.to(place).clamp(-1.0, 1.0))
        return found[:, torch.from_numpy(self.columns).to(place)]

    def log_p(self, images: np.ndarray) -> np.ndarray:
        """Log probabilities of encoded images float32 (M, C, H, W): float64 (M, K)."""
        found = []
        with torch.inference_mode():
            for start in range(0, len(images), _BATCH):
                part = torch.from_numpy(np.ascontiguousarray(images[start : start + _BATCH]))
                found.append(self.logits(part).cpu().double().log_softmax(dim=1).numpy())
        return np.concatenate(found)

    def shuffled(self, seed: int) -> Judge:
        """The same with shuffled weights; the batch norms keep their statistics, or nothing would come through."""
        network = copy.deepcopy(self.network)
        for part in network.modules():
            if isinstance(part, (torch.nn.Conv2d, torch.nn.Linear)):
                part.load_state_dict(shuffled(part, seed).state_dict())
        return Judge(network, self.columns, self.accuracy, self.count, self.seen)


class Odds(torch.nn.Module):
    """Encoded images (B, C, H, W) -> the judge's log odds of a class each, (B,), for gradients. labels: int64 (B,), or
    (1,) for all."""

    def __init__(self, judge: Judge, labels: torch.Tensor) -> None:
        super().__init__()
        self.network, self.judge, self.labels = judge.network, judge, labels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.judge.logits(x)
        told = self.labels.repeat(len(x) // len(self.labels))[:, None]  # captum repeats the images as a whole
        own = logits.gather(1, told)[:, 0]
        return own - logits.scatter(1, told, float("-inf")).logsumexp(dim=1)


def build_judge(
    network: ConvClassifier,
    names: tuple[str, ...],
    class_names: tuple[str, ...],
    measured: tuple[float, int] | None,
    data: ImageData | None,
    seen: str,
) -> Judge | None:
    """A judge of the model's classes; None where the classifier does not know all of them.

    names: of the classifier's classes. measured: its accuracy and on how many new images; else it is measured on
    `data`, which are `seen`.
    """
    if len(class_names) < 2 or not set(class_names) <= set(names):
        return None
    columns = np.array([names.index(name) for name in class_names], np.int64)
    if measured is None:
        if data is None or data.labels is None:
            return None
        read = classify(network, data.images).logits.argmax(axis=1)
        position = np.array([names.index(name) if name in names else -1 for name in data.class_names], np.int64)
        measured = (float(np.mean(read == position[data.labels])), len(data))
    return Judge(network, columns, *measured, seen)


def margins(log_p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """float64 (M,): log odds of the label, log p - log (1 - p), from (M, K)."""
    rows = np.arange(len(labels))
    others = log_p.copy()
    others[rows, labels] = -np.inf
    top = others.max(axis=1)
    return np.asarray(log_p[rows, labels] - top - np.log(np.exp(others - top[:, None]).sum(axis=1)))
