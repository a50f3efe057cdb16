"""Where a sampler stops on the way from noise to data: levels that were asked for, or those of the schedule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synthgen.diffusion.consistency import consistency_levels
from synthgen.diffusion.schedule import Levels, NoiseSchedule
from synthgen.errors import UsageError


def sampling_levels(schedule: NoiseSchedule, sampler: str, steps: int, noise_levels: Sequence[float] = ()) -> Levels:
    """The levels that `sampler` visits in `steps` steps.

    noise_levels: sigma/alpha of each of the steps, falling; none: those of Geng et al. for the consistency sampler,
    else those that the schedule spaces. Raises UsageError when they are not as many as the steps, do not fall, or lie
    so close that a schedule of discrete steps has one for two of them.
    """
    if not noise_levels and sampler != "consistency":
        return schedule.levels(steps)
    ratios = tuple(noise_levels) or consistency_levels(steps)
    if len(ratios) != steps:
        raise UsageError(f"{len(ratios)} noise levels were given for {steps} steps", "give one level for each step")
    levels = schedule.at(ratios) if all(0 < ratio < float("inf") for ratio in ratios) else None
    own = np.zeros(2) if levels is None else levels.sigmas / levels.alphas
    if levels is None or (own[1:] >= own[:-1]).any():
        text = ", ".join(f"{ratio:g}" for ratio in ratios)
        raise UsageError(
            f"the noise levels {text} do not fall from step to step on the {schedule.name} schedule",
            "give positive numbers, the noisiest first, e.g. 80, 0.8",
        )
    return levels
