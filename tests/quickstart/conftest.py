"""Stage results as the stages return them, made up, so that order, resuming and the page are tested in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthgen.quickstart.plan import Plan


def metric(
    title: str, value: float, floor: float | None, interval: tuple[float, float] | None = None
) -> dict[str, Any]:
    return {"title": title, "value": value, "floor": floor, "interval": interval, "better": "lower", "n": 40}


@pytest.fixture
def results() -> dict[str, dict[str, Any]]:
    """Stage -> numbers, each recognisable."""
    variants = {
        name: {"images": 100, "accuracies": [mean, mean], "mean": mean, "deviation": 0.01}
        for name, mean in (("real", 0.911), ("synthetic", 0.822), ("both", 0.933))
    }
    return {
        "train": {
            "steps": 1234, "images_seen": 4567, "images_per_second": 89.0, "parameters": 600_000, "loss": 0.5,
            "sentence": "trained sentence",
        },
        "sample": {
            "count": 77, "counts": {"0": 8}, "images_per_second": 9.0, "sampler": "heun", "steps": 5,
            "sentence": "sampled sentence",
        },
        "evaluate": {
            "metrics": {"fid": metric("FID", 24.25, 4.75, [22.5, 26.5]), "kid": metric("KID", 0.0125, None)},
            "extractor": {"name": "domain-<b>"},
            "n": 40,
            "headline": "evaluated sentence",
            "classes": [{"name": "0", "n": 4, "fid": None, "fid_floor": None, "agreement": 0.975}],
            "warnings": ["n is <small>"],
            "sentence": "evaluated sentence",
        },
        "augment-classifier": {
            "variants": variants,
            "comparisons": [
                {"variant": "synthetic", "sentence": "alone sentence"},
                {"variant": "both", "sentence": "augmented sentence"},
            ],
            "verdict": "helps",
            "sentence": "augmented sentence",
            "leak": {"message": "leak sentence"},
            "warnings": [],
            "test_count": 2000,
            "seeds": [0, 1],
        },
        "explain": {"sentence": "explained sentence", "folder": "why"},
        "export": {
            "max_difference": 1, "differing_pixels": 3, "checked_pixels": 64, "scheduler": "HeunDiscreteScheduler",
            "size_bytes": 2_500_000, "files": ["a", "b"], "folder": "export", "sentence": "exported sentence",
        },
    }  # fmt: skip


def fill(plan: Plan) -> None:
    """The files that the report reads: a training log, samples, a trajectory."""
    from safetensors.numpy import save_file

    for name in ("run", "synthetic", "why"):
        plan.folder(name).mkdir(parents=True, exist_ok=True)
    rows = [{"step": step, "loss": 1.0 / step} for step in (10, 20, 30)]
    (plan.folder("run") / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, 28, 28, 1), dtype=np.uint8), np.arange(60) % 10
    names = np.array([str(label) for label in range(10)])
    np.savez(plan.folder("synthetic") / "samples.npz", images=images, labels=labels, class_names=names)
    x = rng.uniform(-1, 1, (4, 2, 1, 28, 28)).astype(np.float32)
    arrays = {
        "x": x,
        "x0_hat": x[1:],
        "sigmas": np.array([80.0, 1.0, 0.1]),
        "keys": np.arange(2),
        "labels": np.arange(2),
    }
    save_file(arrays, plan.folder("why") / "trajectory.safetensors")
    samples = [{"sample": k, "label": k, "class_name": f"class {k}"} for k in range(2)]
    (plan.folder("why") / "summary.json").write_text(json.dumps({"samples": samples}))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A plan whose folder holds the files that the report reads."""
    plan = Plan(tmp_path / "first", "5s", 60)
    fill(plan)
    return plan
