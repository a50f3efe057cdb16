"""The denoising trajectory in numbers: how far each step's guess still is from the final image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

CAVEAT = (
    "x0_hat is the mean of all images that the model still holds possible at that noise level. It shows when "
    "the picture settles; it is not a causal account: that a stroke appears at step k does not say that step "
    "k, or anything seen before it, is why it is there."
)
"""What a trajectory does not say; printed wherever one is shown."""


class TrajectoryArrays(Protocol):
    """What is read of `synthgen.generation.model.Trajectory`."""

    @property
    def x(self) -> np.ndarray:
        """float32 (R + 1, N, C, H, W): what the sampler holds, the last entry the final image."""

    @property
    def x0(self) -> np.ndarray:
        """float32 (R, N, C, H, W): the network's guess of the clean image at each row."""

    @property
    def sigmas(self) -> np.ndarray:
        """float64 (R,): noise-to-signal ratio at each row."""

    @property
    def labels(self) -> np.ndarray | None:
        """int64 (N,) or None."""

    @property
    def keys(self) -> np.ndarray:
        """int64 (N,): the sample numbers."""


@dataclass(frozen=True, eq=False)
class TrajectorySummary:
    """R steps (network evaluations) of N samples in numbers.

    Distances are root mean squares over the values of a sample, both sides clipped to [-1, 1] as the picture
    shows them, in those units (the whole range is 2).

    sigmas: float64 (R,), noise-to-signal ratio at which each guess was made.
    rms_to_final: float64 (R, N), from the guess of step r to the final image.
    rms_change: float64 (R, N), from the guess of step r to the one before; 0 at the first step.
    half_steps: int64 (N,), the first step from which on the distance stays at or under half of the first
    guess's.
    """

    sigmas: np.ndarray
    rms_to_final: np.ndarray
    rms_change: np.ndarray
    half_steps: np.ndarray

    @property
    def steps(self) -> int:
        """R, the number of network evaluations."""
        return len(self.sigmas)

    @property
    def median_half_step(self) -> int:
        """The step by which at least half of the samples have done half of their change."""
        return int(np.sort(self.half_steps)[(len(self.half_steps) - 1) // 2])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; steps count from 1, as in the pictures."""
        per_step = [
            {
                "step": step + 1,
                "sigma": _rounded(self.sigmas[step]),
                "median_rms_to_final": _rounded(np.median(self.rms_to_final[step])),
                "rms_to_final": [_rounded(value) for value in self.rms_to_final[step]],
                "rms_change": [_rounded(value) for value in self.rms_change[step]],
            }
            for step in range(self.steps)
        ]
        return {
            "steps": self.steps,
            "median_half_step": self.median_half_step + 1,
            "sigma_at_median_half_step": _rounded(self.sigmas[self.median_half_step]),
            "half_steps": (self.half_steps + 1).tolist(),
            "per_step": per_step,
        }


def trajectory_summary(trajectory: TrajectoryArrays) -> TrajectorySummary:
    """Measure a trajectory; see `TrajectorySummary` for units."""
    guesses = np.clip(np.asarray(trajectory.x0, np.float64), -1.0, 1.0)
    final = np.clip(np.asarray(trajectory.x[-1], np.float64), -1.0, 1.0)
    to_final = _rms(guesses - final)
    change = np.zeros_like(to_final)
    change[1:] = _rms(np.diff(guesses, axis=0))
    return TrajectorySummary(np.asarray(trajectory.sigmas, np.float64), to_final, change, half_steps(to_final))


def half_steps(distance: np.ndarray) -> np.ndarray:
    """First step from which on `distance` (R, N) stays at or under half of its first value; int64 (N,).

    R - 1 for a sample that never gets there: then the last step makes the difference.
    """
    near = distance <= 0.5 * distance[0]
    settled = np.logical_and.accumulate(near[::-1], axis=0)[::-1]
    first: np.ndarray = np.where(settled.any(axis=0), settled.argmax(axis=0), len(distance) - 1)
    return first.astype(np.int64)


def sample_names(trajectory: TrajectoryArrays, class_names: Sequence[str]) -> list[str]:
    """What to call each sample: its class, or its number where there are no classes."""
    if trajectory.labels is None or not class_names:
        return [f"sample {key}" for key in trajectory.keys]
    return [class_names[label] for label in trajectory.labels]


def _rms(difference: np.ndarray) -> np.ndarray:
    """(R, N, ...) to (R, N)."""
    result: np.ndarray = np.sqrt(np.square(difference).mean(axis=tuple(range(2, difference.ndim))))
    return result


def _rounded(value: Any) -> float:
    return float(f"{float(value):.6g}")
