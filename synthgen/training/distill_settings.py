"""The settings of a distillation: the teacher's data and network, an optimisation and a sampler of its own.

Imports nothing heavy: settings are settled before torch is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synthgen.config.loading import load_config
from synthgen.config.schema import Config, DistillConfig, SamplingConfig, TrainingConfig
from synthgen.errors import UsageError
from synthgen.runs import resolve_run
from synthgen.training.origins import header_of, name_of, settings_of

TRAINING = TrainingConfig(batch_size=64, learning_rate=1e-3)
"""How a distillation is optimised unless told otherwise."""

_OWN = ("data.source", "data.max_bad", "model.dropout", "diffusion.label_dropout")
"""Settings beside those of training, sampling and distill that leave the teacher's weights and data what they are."""


def distilled_settings(
    teacher: str | Path,
    overrides: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
    resumed: Path | None = None,
) -> tuple[str, Config]:
    """A name for the run, and the settings that distil the run `teacher`.

    overrides, flags: as `load_config` takes them. resumed: the folder of the distillation to go on with.
    Raises: UsageError for a model that cannot be distilled, for settings that would make it another one, and for a
    run to resume that came from another checkpoint.
    """
    path = resolve_run(teacher)
    name, header = name_of(path), header_of(path)
    theirs = settings_of(path, header)
    if not isinstance(theirs, Config):
        raise UsageError(f"{path} is a model of {theirs.modality}; only models of images can be distilled")
    _check_process(path, theirs)
    base = Config(
        data=theirs.data,
        model=theirs.model,
        diffusion=theirs.diffusion,
        training=TRAINING.model_copy(update={"precision": theirs.training.precision}),
        sampling=SamplingConfig(sampler="consistency", steps=2, block_size=theirs.sampling.block_size),
        distill=DistillConfig(
            teacher=name,
            teacher_sha256=header["sha256"],
            guidance_scale=theirs.sampling.guidance_scale if header["class_names"] else 1.0,
            guidance_interval=theirs.sampling.guidance_interval,
        ),
    )
    again = resumed is not None and (resumed / "config.yaml").is_file()
    config = load_config(resumed if again else base, overrides, flags)
    if not isinstance(config, Config) or config.distill is None:
        raise UsageError(f"{resumed} is no distillation, and cannot be resumed as one", "choose another --out")
    if config.distill.teacher_sha256 != header["sha256"]:
        raise UsageError(
            f"{resumed} was distilled from another checkpoint than {path}",
            "to go on with it, leave out --distill; to start again, choose another --out",
        )
    if config.distill.guided and not header["class_names"]:
        raise UsageError(
            f"{path} has no classes, and only models of classes can be guided", "leave out distill.guidance_*"
        )
    changed = _changed(base, config)
    if changed:
        raise UsageError(
            f"{', '.join(changed)}: data and network are the teacher's",
            "with --distill, change settings of training, distill and sampling only",
        )
    return f"{name}-distilled", config


def _check_process(path: Path, config: Config) -> None:
    there = (config.diffusion.schedule, config.diffusion.prediction)
    if there != ("edm", "edm"):
        raise UsageError(
            f"{path} has schedule {there[0]} and prediction {there[1]}: consistency tuning needs edm and edm, "
            "whose answer at no noise is its input",
            "train the model to distil with diffusion.schedule and diffusion.prediction at their defaults",
        )


def _changed(base: Config, config: Config) -> list[str]:
    """Settings of data and network that differ from the teacher's, by name."""
    old, new = _flat(base), _flat(config)
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key) and key not in _OWN)


def _flat(config: Config) -> dict[str, Any]:
    groups = config.model_dump(include={"data", "model", "diffusion"})
    return {f"{group}.{key}": value for group, values in groups.items() for key, value in values.items()}
