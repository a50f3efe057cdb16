"""What a run leaves on disk: checkpoints that explain themselves, states to resume from, previews."""

from __future__ import annotations

import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import synthgen
from synthgen.checkpoints import Header, Tensors, load_checkpoint, save_checkpoint
from synthgen.config.modalities import AnyConfig, parse_config
from synthgen.errors import SynthgenError, UsageError
from synthgen.outputs import remove_leftovers
from synthgen.reporting import Reporter
from synthgen.runs import checkpoint_path, list_checkpoints, prune_checkpoints
from synthgen.training.step import Trainer
from synthgen.training.subject import Subject

KEEP = 2
_FREE_TO_CHANGE = (
    "budget",
    "steps",
    "epochs",
    "checkpoint_every",
    "micro_batch",
    "max_bad_steps",
    "track",
    "ema_short_half_life",
)
"""Settings that a resumed run may change: how long it lasts and what fits in memory, not what it is."""


def versions() -> dict[str, str]:
    """The software that samples may depend on."""
    packages = {name: version(name) for name in ("diffusers", "numpy", "safetensors")}
    return {
        "synthgen": synthgen.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        **packages,
    }


def load_state(path: Path) -> tuple[Header, Tensors]:
    """A resume state, verified."""
    return load_checkpoint(path, kind="state")


class Saver:
    """Writes the checkpoints of one run and keeps the newest few."""

    def __init__(self, run: Path, config: AnyConfig, subject: Subject) -> None:
        self.run, self.config, self.subject = run, config, subject
        self.last_model = run
        self.data = subject.facts

    def header(self, trainer: Trainer, seconds: float, loss: float, *, finished: bool) -> Header:
        """Everything but the weights: config, what the modality adds, data, how it was trained, with what."""
        return {
            "kind": "model",
            "modality": self.config.modality,
            "config": self.config.model_dump(mode="json"),
            **self.subject.header(),
            "data": self.data,
            "training": {
                "steps": trainer.step,
                f"{self.subject.unit}_seen": trainer.seen,
                "seconds": round(seconds, 1),
                "loss": None if loss != loss else loss,
                "finished": finished,
                "device": str(trainer.device),
                "precision": str(trainer.denoiser.precision).removeprefix("torch."),
                "threads": torch.get_num_threads(),
                **trainer.facts(),
            },
            "versions": versions(),
        }

    def save(self, trainer: Trainer, seconds: float, loss: float, *, finished: bool) -> None:
        """Write model and state of the current step, the state first: a model is never newer than its state."""
        header = self.header(trainer, seconds, loss, finished=finished)
        state = {
            "kind": "state",
            "step": trainer.step,
            "seconds": seconds,
            "config": header["config"],
            "training": header["training"],
            "data": self.data,
            "versions": header["versions"],
        }
        save_checkpoint(checkpoint_path(self.run, trainer.step, "state"), trainer.state(), state)
        path = checkpoint_path(self.run, trainer.step)
        weights = self.subject.finished(trainer.weights()) if finished else trainer.weights()
        save_checkpoint(path, weights | self.subject.tensors(), header)
        self.last_model = path
        prune_checkpoints(self.run, KEEP)

    def rehearse(self, trainer: Trainer) -> None:
        """Write a state and delete it, before the first step: a full disk must not be found out after the last.

        What a killed process left half written goes first. Raises: OSError when not even this state can be written,
        SynthgenError when there is no room for all the checkpoints that will lie side by side.
        """
        remove_leftovers(self.run)
        path = self.run / "checkpoints" / "trial.safetensors"
        try:
            save_checkpoint(path, trainer.state(), {"kind": "state"})
            self.subject.finished(trainer.weights())  # the last model costs this time too
            pair = path.stat().st_size + sum(tensor.nbytes for tensor in trainer.weights().values())
        finally:
            path.unlink(missing_ok=True)
        there = sum(file.stat().st_size for kind in ("model", "state") for file in list_checkpoints(self.run, kind))
        needed = (KEEP + 1) * pair - there  # the new pair is written before the oldest goes
        free = shutil.disk_usage(self.run).free
        if needed > free:
            raise SynthgenError(
                f"the checkpoints will take up to {needed / 1e6:,.1f} MB more, and {self.run} has {free / 1e6:,.1f} MB "
                "free",
                "free some space, or choose another --out",
            )

    def check_same(self, header: Header, path: Path) -> None:
        """Refuse to resume a run with another config or other data. Raises UsageError naming the differences."""
        differences = _differences(_completed(header["config"]), self.config.model_dump(mode="json"))
        differences = [name for name in differences if name.removeprefix("training.") not in _FREE_TO_CHANGE]
        if differences:
            raise UsageError(
                f"{path} was trained with other settings: {', '.join(differences)}",
                "resume with the run's own config.yaml, or start a new run with another --out",
            )
        if header["data"]["fingerprint"] != self.data["fingerprint"]:
            raise UsageError(
                f"the data changed since {path} was written ({header['data']['count']:,} {self.subject.unit} then, "
                f"{self.data['count']:,} now)",
                "start a new run with another --out",
            )

    @property
    def preview_calls(self) -> float:
        """Samples that go through the network for one preview."""
        return self.subject.preview_calls

    def previews(self, step: int) -> list[Path]:
        """The files of a step's preview."""
        return sorted((self.run / "previews").glob(f"step-{step:08d}.*"))

    def preview(self, trainer: Trainer, reporter: Reporter) -> None:
        """Save and show a few samples of the averaged weights."""
        self.subject.preview(trainer.average.model, self.run, trainer.step, reporter)


def _completed(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration as this version would write it: settings that are newer than it have their defaults."""
    try:
        return parse_config(config).model_dump(mode="json")
    except ValueError:  # of another version: what differs is named by the caller
        return config


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key in old.keys() | new.keys():
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            names += _differences(before, after, f"{prefix}{key}.")
        elif before != after and not prefix.startswith("sampling."):
            names.append(prefix + key)
    return sorted(names)
