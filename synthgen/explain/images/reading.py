"""Read an explanation back from its folder, for reports that show it again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from synthgen.explain.images.page_steps import trajectory_piece
from synthgen.explain.trajectory import trajectory_summary
from synthgen.html import Markup


@dataclass(frozen=True, eq=False)
class StoredTrajectory:
    """The arrays of `trajectory.safetensors`; see `synthgen.generation.model.Trajectory`."""

    x: np.ndarray
    x0: np.ndarray
    sigmas: np.ndarray
    labels: np.ndarray | None
    keys: np.ndarray


def read_trajectory(folder: Path) -> StoredTrajectory:
    """The trajectory in an explanation's folder."""
    arrays = load_file(folder / "trajectory.safetensors")
    return StoredTrajectory(arrays["x"], arrays["x0_hat"], arrays["sigmas"], arrays.get("labels"), arrays["keys"])


def read_summary(folder: Path) -> dict[str, Any]:
    """`summary.json`."""
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return summary


def stored_trajectory_piece(folder: Path) -> Markup:
    """The slider of an explanation's folder, for another page."""
    trajectory = read_trajectory(folder)
    samples = read_summary(folder)["samples"]
    names = [entry["class_name"] or f"sample {entry['sample']}" for entry in samples]
    return trajectory_piece(trajectory, trajectory_summary(trajectory), names)
