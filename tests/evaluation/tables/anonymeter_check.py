"""The attacks beside anonymeter's own, on tables that both can make: run this in an environment of its own.

    python3.11 -m venv side
    side/bin/pip install "numpy<1.27" "pandas<2.3" "scikit-learn<1.6" scipy numba joblib polars
    side/bin/pip install --no-deps anonymeter==1.1.0
    side/bin/python tests/evaluation/tables/anonymeter_check.py

It prints counts of successful attacks; test_privacy_attacks.py has them as constants and compares ours. Every training
and every control row is attacked, so that nothing but ties depends on a random number (and of ties there are none).
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROWS = 400
HALVES = (["x", "y", "city"], ["z", "n", "job"])


def tables() -> dict[str, pd.DataFrame]:
    """Training rows, control rows, and synthetic ones of which half are training rows with a little noise.

    Numbers have many digits (no ties) and the same extremes in all three, so that the scales of both programs agree.
    """
    random = np.random.default_rng(20240607)

    def some(count: int) -> pd.DataFrame:
        x = random.normal(size=count)
        frame = pd.DataFrame(
            {
                "x": x,
                "y": 0.7 * x + random.normal(size=count),
                "z": random.exponential(size=count) + 0.5 * np.abs(x),
                "n": random.integers(1, 60, count).astype(float),
                "city": random.choice(["Lima", "Oslo", "Rome", "Kyiv"], count, p=[0.5, 0.3, 0.15, 0.05]),
                "job": np.where(x + random.normal(size=count) > 0, "baker", "pilot"),
            }
        )
        return frame

    train, control, fresh = some(ROWS), some(ROWS), some(ROWS // 2)
    copied = train.iloc[: ROWS // 2].copy()
    copied[["x", "y", "z"]] += 0.02 * random.normal(size=(ROWS // 2, 3))
    fake = pd.concat([copied, fresh], ignore_index=True)
    ends = [-9.0, 9.0]
    for frame in (train, control, fake):
        frame.loc[[0, 1], ["x", "y"]] = np.array([ends, ends]).T
        frame.loc[[0, 1], "z"] = [0.0, 20.0]
        frame.loc[[0, 1], "n"] = [1.0, 60.0]
    return {"train": train, "control": control, "fake": fake}


def anonymeter_counts() -> dict[str, Any]:
    """Successes of anonymeter's attacks: [on train, on control], of how many."""
    from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator, SinglingOutEvaluator

    data = tables()
    train, control, fake = data["train"], data["control"], data["fake"]
    found: dict[str, Any] = {}
    single = SinglingOutEvaluator(train, fake, n_attacks=2_000, control=control, seed=0).evaluate("univariate")
    found["univariate"] = [single._n_success, single._n_control]
    several = SinglingOutEvaluator(train, fake, n_attacks=300, n_cols=3, control=control, seed=0).evaluate()
    found["multivariate"] = [several._n_success, several._n_control, 300]
    for count in (1, 5):
        link = LinkabilityEvaluator(train, fake, aux_cols=HALVES, n_attacks=ROWS, n_neighbors=count, control=control)
        result = link.evaluate(n_jobs=1).results()
        found[f"linkability {count}"] = [result.n_success, result.n_control]
    for secret in train.columns:
        known = [name for name in train.columns if name != secret]
        number = secret in "xyzn"
        infer = InferenceEvaluator(train, fake, known, secret, regression=number, n_attacks=ROWS, control=control)
        result = infer.evaluate(n_jobs=1).results()
        found[f"inference {secret}"] = [int(result.n_success), int(result.n_control)]
        if secret == "city":
            risk = result.risk()
            found["risk of city"] = [risk.value, *risk.ci]
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    import anonymeter

    print(json.dumps({"numpy": np.__version__, "anonymeter": str(Path(anonymeter.__file__).parent.name)}))
    print(json.dumps(anonymeter_counts(), indent=1))
