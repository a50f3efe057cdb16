"""The plan of a set of samples: everything its bytes depend on, the label of sample k, the bounds of shard i."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from synthgen.config.schema import SamplingConfig
from synthgen.data.captions import MOST_CAPTIONS, MOST_TOKENS, plain_caption
from synthgen.errors import SynthgenError, UsageError
from synthgen.generation.engine import Recipe
from synthgen.generation.numerics import numerics, versions
from synthgen.generation.writers import FORMATS, check_format

if TYPE_CHECKING:
    from synthgen.generation.model import Model

_MOST = 10**12
"""Samples that a manifest may claim."""
_PART = 2**18
"""Labels computed at once, at most."""


@dataclass(frozen=True)
class SamplePlan:
    """What will be made: everything the bytes depend on, and nothing else.

    labels: the classes asked for, repeated over the sample numbers; empty means balanced (or unconditional).
    prompts: what stands in the place of the model's classes, in its plain form; empty: its own classes.
    shards: into how many pieces that can be made alone the set is cut; None: one folder, made by one process.
    """

    checkpoint_sha256: str
    count: int
    seed: int
    labels: tuple[int, ...]
    recipe: Recipe
    format: str
    precision: str
    device: str
    torch: str
    versions: dict[str, str]
    numerics: dict[str, str | int | bool]
    shards: int | None = None
    prompts: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if not self.prompts:  # as plans were before there were any, and their hashes
            del values["prompts"]
        return values

    @property
    def sha256(self) -> str:
        """What the manifests of shards that belong together share."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def bounds(self, shard: int) -> tuple[int, int]:
        """First sample and the one after the last of a shard; both are bounds of blocks, or the end."""
        shards, size = self.shards or 1, self.recipe.block_size
        blocks = -(-self.count // size)
        first, last = shard * blocks // shards, (shard + 1) * blocks // shards
        return first * size, min(last * size, self.count)


def plan_from_dict(values: dict[str, Any]) -> SamplePlan:
    """The plan in a manifest. Raises SynthgenError for anything else."""
    try:
        recipe = dict(values["recipe"])
        recipe["guidance_interval"] = tuple(recipe["guidance_interval"])
        levels = recipe.get("noise_levels") or ()
        if levels:  # the limits of a config's are those of a manifest's
            levels = SamplingConfig(noise_levels=levels, steps=recipe["steps"]).noise_levels
        recipe["noise_levels"] = levels
        weaker = recipe.get("autoguidance")
        if not (weaker is None or (isinstance(weaker, str) and re.fullmatch("[0-9a-f]{64}", weaker))):
            raise ValueError(f"autoguidance by {weaker!r:.100}")
        if not isinstance(recipe.get("compiled", False), bool):
            raise ValueError(f"compiled is {recipe['compiled']!r:.100}")
        labels = tuple(int(label) for label in values["labels"])
        prompts = _prompts(values.get("prompts", []))
        plan = SamplePlan(**{**values, "recipe": Recipe(**recipe), "labels": labels, "prompts": prompts})
        sizes = (plan.count, plan.recipe.block_size, 1 if plan.shards is None else plan.shards)
        if not all(isinstance(size, int) and 1 <= size <= _MOST for size in sizes):
            raise ValueError("count {}, block size {}, shards {}".format(*sizes))
        texts = (plan.checkpoint_sha256, plan.precision, plan.device, plan.torch, plan.recipe.sampler)
        tables = (plan.versions, plan.numerics)
        if plan.format not in FORMATS or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"format {plan.format!r}")
        if not all(isinstance(table, dict) for table in tables):
            raise ValueError("versions and numerics are no tables")
        return plan
    except (KeyError, TypeError, ValueError) as error:
        raise SynthgenError(f"the plan in the manifest cannot be read ({error})") from error


def _prompts(values: object) -> tuple[str, ...]:
    """Prompts in a manifest. Raises ValueError for what no model could have been told."""
    if not isinstance(values, list) or len(values) > MOST_CAPTIONS:
        raise ValueError("prompts are no list, or too many")
    for text in values:
        if not isinstance(text, str) or not text or plain_caption(text) != text or len(text.split()) >= MOST_TOKENS:
            raise ValueError(f"the prompt {text!r:.100}")
    if len(set(values)) != len(values):
        raise ValueError("a prompt stands there twice")
    return tuple(values)


def plan_samples(
    model: Model,
    count: int,
    *,
    labels: Sequence[int | str] | None = None,
    seed: int = 0,
    recipe: Recipe | None = None,
    format: str = "png",
    shards: int | None = None,
) -> SamplePlan:
    """Check a request and say all that its result depends on. Takes no time or memory in `count`. Raises UsageError."""
    if count < 1:
        raise UsageError(f"--count must be 1 or more, not {count}")
    check_format(format)
    wanted = tuple(model.class_index(label) for label in labels or ())
    recipe = recipe or model.recipe()
    blocks = -(-count // recipe.block_size)
    if shards is not None and not 1 <= shards <= blocks:
        raise UsageError(
            f"{count:,} samples are {blocks:,} block(s) of {recipe.block_size}: between 1 and {blocks:,} shards are "
            f"possible, not {shards:,}",
            "a block is what the network computes at once; ask for fewer shards or more samples",
        )
    return SamplePlan(
        model.sha256,
        count,
        seed,
        wanted,
        recipe,
        format,
        str(model.denoiser.precision).removeprefix("torch."),
        model.device.type,
        torch.__version__,
        versions(format),
        numerics(model.device),
        shards,
        model.prompts,
    )


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Where two plans differ, as a text for the user; empty when they agree."""
    old, new = _flat(before), _flat(now)
    return "; ".join(
        f"{key}: {_short(old.get(key))} then, {_short(new.get(key))} now"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    )


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = {f"{key}.{name}": part for name, part in value.items()} if isinstance(value, dict) else {key: value}
        flat.update(inner)
    return flat


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


class Labels:
    """The class of every sample of a plan, computed where it is asked for: memory does not grow with the count."""

    def __init__(self, plan: SamplePlan, class_names: Sequence[str]) -> None:
        self.class_names = tuple(class_names)
        self._period = np.array(plan.labels or range(len(self.class_names)), np.int64)
        if self._period.size and not 0 <= self._period.min() <= self._period.max() < len(self.class_names):
            raise SynthgenError(f"the plan asks for a class that is none of the {len(self.class_names)} of the model")

    def __call__(self, start: int, stop: int) -> np.ndarray | None:
        """int64 (stop - start,) labels of samples start ... stop - 1; None for an unconditional model."""
        if not self.class_names:
            return None
        return self._period[np.arange(start, stop, dtype=np.int64) % len(self._period)]

    def parts(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """The same labels in pieces."""
        for first in range(start, stop, _PART):
            labels = self(first, min(first + _PART, stop))
            if labels is not None:
                yield labels

    def counts(self, start: int, stop: int) -> dict[str, int]:
        """Samples by class name among start ... stop - 1, without classes that have none."""
        if not self.class_names:
            return {}
        totals = self._up_to(stop) - self._up_to(start)
        return {name: int(total) for name, total in zip(self.class_names, totals, strict=True) if total}

    def present(self, start: int, stop: int) -> list[int]:
        """The classes that occur among start ... stop - 1, by index."""
        return [] if not self.class_names else np.flatnonzero(self._up_to(stop) - self._up_to(start)).tolist()

    def _up_to(self, stop: int) -> np.ndarray:
        rounds, rest = divmod(stop, len(self._period))
        classes = len(self.class_names)
        full = np.bincount(self._period, minlength=classes)
        return rounds * full + np.bincount(self._period[:rest], minlength=classes)
