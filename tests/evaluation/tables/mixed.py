"""Tables with answers, made with numpy and pandas alone, so that an environment with sdmetrics can make them too."""

from __future__ import annotations

import numpy as np
import pandas as pd


def mixed(count: int, seed: int, *, missing: bool = True) -> pd.DataFrame:
    """Numbers, integers, a date, categories, a boolean: all hang together; cells are missing where `size` is small.

    The target `buys` is drawn with a chance that depends on size, colour and age.
    """
    random = np.random.default_rng(seed)
    size = random.gamma(2.0, 3.0, count)
    age = np.clip(random.normal(40, 12, count), 18, 90).round().astype(int)
    colour = np.array(["red", "green", "blue", "grey"])[
        np.minimum(3, (size / 4 + random.random(count)).astype(int))
    ].astype(object)
    weight = 2 * size + random.normal(0, 1, count)
    day = pd.Timestamp("1965-03-01") + pd.to_timedelta((age * 100 + random.integers(0, 300, count)), unit="D")
    score = 0.4 * size - 2 + (colour == "red") * 1.5 + (age - 40) / 20
    frame = pd.DataFrame(
        {
            "size": size,
            "age": age,
            "weight": weight,
            "day": day,
            "colour": colour,
            "local": random.random(count) < age / 100,
            "buys": np.where(random.random(count) < 1 / (1 + np.exp(-score)), "yes", "no").astype(object),
        }
    )
    if missing:
        frame.loc[random.random(count) < np.where(size < 3, 0.3, 0.02), "weight"] = np.nan
        frame.loc[random.random(count) < 0.1, "colour"] = None
    return frame


def shuffled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Every column by itself in a random order: nothing hangs together any more."""
    random = np.random.default_rng(seed)
    return pd.DataFrame({name: frame[name].to_numpy()[random.permutation(len(frame))] for name in frame})


SDTYPES = {
    "size": "numerical",
    "age": "numerical",
    "weight": "numerical",
    "day": "datetime",
    "colour": "categorical",
    "local": "boolean",
    "buys": "categorical",
}
