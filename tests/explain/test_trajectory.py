"""The numbers of a trajectory against trajectories whose numbers are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from synthgen.explain.trajectory import half_steps, sample_names, trajectory_summary
from synthgen.generation.model import Trajectory


def blend(weights: list[list[float]], start: np.ndarray, end: np.ndarray) -> Trajectory:
    """Guesses that go from `start` to `end` (N, C, H, W); weights[r][n] is the share of the way at row r."""
    share = np.array(weights)[..., None, None, None]
    guesses = (start + share * (end - start)).astype(np.float32)
    held = np.concatenate([np.random.default_rng(0).normal(size=guesses.shape), end[None]]).astype(np.float32)
    rows, count = share.shape[:2]
    return Trajectory(held, guesses, np.geomspace(80, 0.01, rows), np.arange(count), np.arange(count))


def test_distances_are_the_known_share_of_the_way():
    rng = np.random.default_rng(1)
    start, end = rng.uniform(-1, 1, (2, 3, 1, 6, 5)).astype(np.float32)
    weights = [[0.0, 0.0, 0.0], [0.25, 0.6, 0.1], [0.75, 0.8, 0.2], [1.0, 1.0, 1.0]]
    summary = trajectory_summary(blend(weights, start, end))
    whole = np.sqrt(((end - start) ** 2).mean(axis=(1, 2, 3)))
    assert np.allclose(summary.rms_to_final, (1 - np.array(weights)) * whole, atol=1e-6)
    expected = np.diff(np.array(weights), axis=0) * whole
    assert np.allclose(summary.rms_change[1:], expected, atol=1e-6) and (summary.rms_change[0] == 0).all()
    assert summary.half_steps.tolist() == [2, 1, 3]
    assert summary.median_half_step == 2


def test_what_lies_outside_the_picture_does_not_count():
    end = np.ones((1, 1, 4, 4), np.float32)
    trajectory = blend([[0.0], [1.0]], end + 3.0, end + 0.2)  # both are white once clipped
    assert (trajectory_summary(trajectory).rms_to_final == 0).all()


def test_half_step_is_where_the_distance_stays_small():
    back_and_forth = np.array([[8.0], [3.0], [7.0], [4.0], [0.0]])
    assert half_steps(back_and_forth).tolist() == [3]
    assert half_steps(np.array([[5.0, 0.0]])).tolist() == [0, 0]
    assert half_steps(np.array([[8.0], [7.0], [6.0]])).tolist() == [2]


def test_json_counts_steps_from_one_and_is_plain():
    start, end = np.zeros((2, 2, 1, 4, 4), np.float32)
    end = end + 0.5
    trajectory = blend([[0.0, 0.0], [0.5, 0.0], [1.0, 1.0]], start, end)
    document = json.loads(json.dumps(trajectory_summary(trajectory).to_dict(), allow_nan=False))
    assert [row["step"] for row in document["per_step"]] == [1, 2, 3]
    assert document["half_steps"] == [2, 3] and document["median_half_step"] == 2
    assert document["sigma_at_median_half_step"] == pytest.approx(trajectory.sigmas[1], rel=1e-5)
    assert document["per_step"][1]["rms_to_final"] == [0.25, 0.5]


def test_samples_are_called_by_class_or_by_number():
    trajectory = blend([[0.0, 0.0]], *np.zeros((2, 2, 1, 4, 4), np.float32))
    assert sample_names(trajectory, ["cat", "dog"]) == ["cat", "dog"]
    assert sample_names(trajectory, []) == ["sample 0", "sample 1"]
