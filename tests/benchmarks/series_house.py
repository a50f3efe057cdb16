"""A made-up recording of a house, in the place of those with 28 and 50 channels that cannot be shipped.

    python tests/benchmarks/series_house.py 28 house28.csv

Every ten minutes over 137 days: slow weather, rooms whose temperature and humidity follow it with lags of their own,
appliances that work in bursts, lamps that are mostly off, and the same white noise twice. Seed 0; no measured value.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

STEPS = 19_735
DAY = 144
OTHERS = 10
"""Channels that belong to no room."""


def walk(random: np.random.Generator, memory: float, deviation: float) -> np.ndarray:
    """float64 (STEPS,): x = memory * x before + noise, from 0."""
    noise = random.normal(0, deviation, STEPS)
    found, last = np.empty(STEPS), 0.0
    for step in range(STEPS):
        found[step] = last = memory * last + noise[step]
    return found


def house(channels: int) -> pd.DataFrame:
    """`channels` channels, even, 12 or more, behind a column of dates."""
    random = np.random.default_rng(0)
    steps = np.arange(STEPS)
    day = 2 * np.pi * steps / DAY
    outside = 8 + 5 * np.sin(2 * np.pi * steps / STEPS) + 3 * np.sin(day - 2) + walk(random, 0.998, 0.15)
    humidity = 80 - 1.5 * (outside - 8) + walk(random, 0.995, 0.5)
    pressure = 755 + walk(random, 0.9995, 0.1)
    wind = np.abs(4 + walk(random, 0.98, 0.4))
    visibility = np.clip(38 + walk(random, 0.97, 3), 1, 66)
    dew = outside - (100 - humidity) / 5
    active = (np.sin(day - 1) > 0) * 1.0 + walk(random, 0.95, 0.3)
    bursts = np.where(random.random(STEPS) < 0.03, 1.5, 0)
    appliances = np.round(np.exp(4 + 0.5 * active + bursts + random.normal(0, 0.15, STEPS)) / 10) * 10
    lit = active + random.normal(0, 0.5, STEPS) > 1.2
    columns = {
        "Appliances": appliances.astype(int),
        "lights": np.where(lit, np.round(random.gamma(2, 1, STEPS)) * 10, 0).astype(int),
    }
    for room in range((channels - OTHERS) // 2):
        columns |= of_room(random, room, outside, humidity, active)
    columns |= {"T_out": np.round(outside, 1), "Press": np.round(pressure, 1)}
    columns |= {"RH_out": np.clip(np.round(humidity), 20, 100), "Wind": np.round(wind, 1)}
    columns |= {"Visibility": np.round(visibility), "Tdew": np.round(dew, 1)}
    noise = random.uniform(0, 50, STEPS)
    frame = pd.DataFrame({**columns, "rv1": noise, "rv2": noise})
    frame.insert(0, "date", pd.date_range("2016-01-11 17:00", periods=STEPS, freq="10min"))
    return frame


def of_room(
    random: np.random.Generator, room: int, outside: np.ndarray, humidity: np.ndarray, active: np.ndarray
) -> dict[str, np.ndarray]:
    """Temperature and humidity of one room: slower than outside, warmer when somebody is there."""
    lag = 10 + 20 * room % 120
    weights = np.exp(-np.arange(300) / (40 + 15 * room))
    before = np.concatenate([np.full(300, outside[0]), outside])
    slow = np.convolve(before, weights / weights.sum())[300 : 300 + STEPS]
    warm = 20 + 0.25 * (room + 1) / 2 * (slow - 8) / 2 + 0.3 * np.roll(active, lag % 30) + walk(random, 0.999, 0.01)
    damp = 40 + 0.3 * (humidity - 80) - 0.8 * (warm - 20) + walk(random, 0.99, 0.1)
    return {f"T{room + 1}": np.round(warm, 2), f"RH_{room + 1}": np.round(damp, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("channels", type=int)
    parser.add_argument("out", type=Path)
    one = parser.parse_args()
    if one.channels < OTHERS + 2 or one.channels % 2:
        parser.error("channels: an even number, 12 or more")
    house(one.channels).to_csv(one.out, index=False)
    print(one.out)


if __name__ == "__main__":
    main()
