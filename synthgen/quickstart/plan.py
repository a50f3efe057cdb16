"""What the quickstart will do: its settings, its stages, and the commands that do the same one by one."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from synthgen.config.schema import parse_duration
from synthgen.errors import UsageError

SOURCE = "mnist-mini"
"""The data set that comes with the package."""

CLASSIFIER_STEPS, CLASSIFIER_SEEDS = 200, 2
"""A shorter augmentation experiment than the command's own, so that the whole fits into six minutes."""

STAGES = ("train", "sample", "evaluate", "augment-classifier", "explain", "export")

NEXT = ("synthgen train mnist --budget 30m", "synthgen train --data my-images/ --budget 30m")
"""What to type after the quickstart: the full data set, and one's own."""

FOLDERS = {
    "train": "run",
    "sample": "synthetic",
    "evaluate": "evaluation",
    "augment-classifier": "augmentation",
    "explain": "why",
    "export": "export",
}
"""Stage -> the folder of its result."""

TITLES = {
    "train": "Learn what digits look like",
    "sample": "Make synthetic digits",
    "evaluate": "Compare them with real ones",
    "augment-classifier": "Find out whether they help a classifier",
    "explain": "See how they came to be",
    "export": "Hand the model to diffusers",
}


@dataclass(frozen=True)
class Plan:
    """The settings of one quickstart; everything that its results depend on but the machine.

    budget: time for training, as `2m`. count: synthetic images. seed: of training, samples and splits.
    """

    out: Path
    budget: str = "2m"
    count: int = 2000
    seed: int = 0
    device: str = "auto"

    def check(self) -> None:
        """Raise UsageError for settings that cannot work."""
        try:
            parse_duration(self.budget)
        except ValueError as error:
            raise UsageError(f"--budget: {error}") from error
        if self.count < 40:
            raise UsageError(
                f"--count must be 40 or more, not {self.count}: fewer images cannot be compared with anything"
            )

    def settings(self) -> dict[str, Any]:
        """What a resumed quickstart must have in common with the one that it resumes."""
        return {key: value for key, value in asdict(self).items() if key not in ("out", "device")}

    def folder(self, name: str) -> Path:
        """Where a result lies: one of the values of `FOLDERS`."""
        return self.out / name

    def command(self, stage: str) -> str:
        """The command that does what a stage does."""
        run, fake = self.folder("run"), self.folder("synthetic")
        words: dict[str, list[object]] = {
            "train": ["train", SOURCE, "--budget", self.budget, "--seed", self.seed],
            "sample": ["sample", run, "--count", self.count, "--seed", self.seed],
            "evaluate": ["evaluate", "--real", SOURCE, "--fake", fake, "--seed", self.seed],
            "augment-classifier": ["augment-classifier", "--real", SOURCE, "--synthetic", fake],
            "explain": ["explain", run, "--seed", self.seed, "--methods", "trajectory,evidence"],
            "export": ["export", run, "--format", "diffusers"],
        }
        short = ["--seeds", CLASSIFIER_SEEDS, "--steps", CLASSIFIER_STEPS, "--seed", self.seed]
        words["augment-classifier"] += short
        return shlex.join(["synthgen", *map(str, words[stage]), "--out", str(self.folder(FOLDERS[stage]))])
