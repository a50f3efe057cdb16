"""Which settings of a sampler a card tries, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence

from synthgen.config.schema import SamplingConfig
from synthgen.diffusion.consistency import consistency_levels
from synthgen.diffusion.samplers import SAMPLERS
from synthgen.errors import UsageError, nearest

COUNT, REPEATS = 2000, 3
FEWEST = 1000
"""Samples of a setting below which its FID is not worth measuring unasked."""

GRID = {"dpm++2m": (5, 6, 8, 10, 12, 16), "dpm++3m": (8, 12), "heun": (5,), "dpm++2m-sde": (16,)}
"""Steps by sampler that are tried unless others are asked for; of Heun's method each is nearly two evaluations."""

CONSISTENCY_GRID = {"consistency": (1, 2, 3, 4)}

FEW, FITTED_TO = 8, 64
"""Up to so many steps a setting is tried at learned noise levels, too; they are fitted to so many samples."""

FIRST_SHARE, FIRST_LEAST = 4, 500
"""The first look is at one in so many samples, and at so many at least: FID of fewer is mostly chance."""

_SECOND_LOOK, _REPEATED = 0.6, 0.5
"""Share of the network evaluations of all settings that is left after the first look, and after the second."""


def candidates(
    own: SamplingConfig,
    *,
    samplers: Sequence[str] = (),
    steps: Sequence[int] = (),
    guidance: Sequence[float] = (),
) -> tuple[SamplingConfig, ...]:
    """The settings to try: the model's `own` first, then what is asked for, or the usual ones.

    samplers, steps: those of the other's usual ones where only one of the two is given. guidance: scales.
    Raises UsageError for what is no setting.
    """
    for name in samplers:
        if name not in SAMPLERS:
            known = f"known samplers: {', '.join(SAMPLERS)}"
            raise UsageError(f"unknown sampler '{name}'{nearest(name, SAMPLERS)}", known)
    if not all(1 <= number <= 10_000 for number in steps) or not all(0 <= scale <= 100 for scale in guidance):
        raise UsageError("steps lie between 1 and 10,000, guidance scales between 0 and 100")
    if own.sampler == "consistency" and own.noise_levels == consistency_levels(own.steps):
        own = own.model_copy(update={"noise_levels": ()})  # the usual ones, spelled out
    usual = CONSISTENCY_GRID if own.sampler == "consistency" else GRID
    names = samplers or tuple(usual)
    found = [] if samplers or steps else [own]
    for name in names:
        plain = own.model_copy(update={"sampler": name, "noise_levels": (), "eta": 0.0})
        found += [plain.model_copy(update={"steps": number}) for number in steps or usual.get(name, GRID["dpm++2m"])]
    scales = guidance or (own.guidance_scale,)
    every = [one.model_copy(update={"guidance_scale": float(scale)}) for scale in scales for one in found]
    return tuple({one.model_dump_json(): SamplingConfig.model_validate(one.model_dump()) for one in every}.values())


def expected_calls(own: SamplingConfig, count: int, repeats: int = 2) -> float:
    """Network evaluations that the usual card of a model takes, the choice of its average included; a rough guess."""
    settings = candidates(own)
    total = sum(_calls(one) * (2 if one.sampler.startswith("dpm++") and one.steps <= FEW else 1) for one in settings)
    share = 1 / FIRST_SHARE + (1 - 1 / FIRST_SHARE) * _SECOND_LOOK + (repeats - 1) * _REPEATED
    return count * (total * share + 2 * _calls(own))


def _calls(one: SamplingConfig) -> int:
    steps = 2 * one.steps - 1 if one.sampler == "heun" else one.steps
    return steps * (1 if one.guidance_scale == 1.0 else 2)
