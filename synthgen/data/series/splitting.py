"""Training, validation and test parts: in time for recordings, by sequences for sets of them; before any scaling."""

from __future__ import annotations

import numpy as np

from synthgen.config.series import SeriesDataConfig, window_for
from synthgen.data.series.sequences import Steps
from synthgen.data.tables.hashing import uniforms

PARTS = ("train", "validation", "test")
_FEWEST = 5
"""So many sequences, none longer than two windows, are told apart as wholes; else the end of each is held out."""


def split_steps(steps: Steps, config: SeriesDataConfig, label: str | None) -> dict[str, Steps]:
    """The parts, without those that are empty; windows that lie in one sequence of a part never reach into another.

    Parts that the source itself names win; of its training part, the validation share is taken. `leaky`: every part is
    everything.
    """
    if config.protocol == "leaky":
        return dict.fromkeys(PARTS, steps)
    official = steps.official
    if official.any():
        named = {name: np.flatnonzero(official == place) for place, name in enumerate(PARTS, 1)}
        training = _take(steps, named["train"])
        found = split_shares(training, 0.0, 0.0 if len(named["validation"]) else config.validation, config, label)
        found |= {name: _take(steps, named[name]) for name in PARTS[1:] if len(named[name])}
    else:
        found = split_shares(steps, config.test, config.validation, config, label)
    return {name: part for name, part in found.items() if part.offsets[-1]}


def split_shares(
    steps: Steps, test: float, validation: float, config: SeriesDataConfig, label: str | None
) -> dict[str, Steps]:
    """Shares of the time of each recording, or of the sequences."""
    if (not test and not validation) or not len(steps.lengths):
        return {"train": steps}
    if by_sequences(steps, config):
        part = _by_sequences(steps, test, validation, label)
        return {name: _take(steps, np.flatnonzero(part == place)) for place, name in enumerate(PARTS)}
    return {name: _in_time(steps, place, test, validation) for place, name in enumerate(PARTS)}


def by_sequences(steps: Steps, config: SeriesDataConfig) -> bool:
    """Whether sequences are held out as wholes: there are several, and a window holds most of each."""
    whole = np.bincount(np.unique(steps.recording, return_inverse=True)[1], weights=steps.lengths)
    window = window_for(config.window, int(steps.lengths.max()), len(whole))
    return len(whole) >= _FEWEST and whole.max() <= 2 * window


def _by_sequences(steps: Steps, test: float, validation: float, label: str | None) -> np.ndarray:
    """int64 (S,): the part of each sequence; the same share of every class, chosen by a hash of the recording."""
    recordings, first, owner = np.unique(steps.recording, return_index=True, return_inverse=True)
    classes = np.zeros(len(recordings), np.int64)
    if label is not None:
        import pandas as pd

        classes = pd.factorize(steps.frame[label].iloc[steps.offsets[first]])[0]
    chance = uniforms(0, np.arange(len(recordings)), "split")
    part = np.zeros(len(recordings), np.int64)
    for one in np.unique(classes):
        members = np.flatnonzero(classes == one)
        members = members[np.argsort(chance[members], kind="stable")]
        held, tried = round(test * len(members)), round(validation * len(members))
        part[members[:held]] = 2
        part[members[held : held + tried]] = 1
    found: np.ndarray = part[owner]
    return found


def _in_time(steps: Steps, place: int, test: float, validation: float) -> Steps:
    """Part number `place` of the time of every recording."""
    _, owner = np.unique(steps.recording, return_inverse=True)
    total = np.bincount(owner, weights=steps.lengths).astype(np.int64)
    held = np.rint(test * total).astype(np.int64)
    tried = np.rint(validation * total).astype(np.int64)
    ends = np.stack([np.zeros_like(total), total - held - tried, total - held, total])
    before = np.cumsum(steps.lengths) - steps.lengths
    first = np.zeros(len(total), np.int64)
    first[owner[::-1]] = before[::-1]
    inside = before - first[owner]  # where each piece begins within its recording
    low, high = ends[place][owner], ends[place + 1][owner]
    begins = np.maximum(low, inside)
    stops = np.minimum(high, inside + steps.lengths)
    kept = np.flatnonzero(stops > begins)
    shift = (steps.offsets[:-1] - inside)[kept]
    return steps.cut(begins[kept] + shift, stops[kept] + shift, kept)


def _take(steps: Steps, index: np.ndarray) -> Steps:
    return steps.cut(steps.offsets[index], steps.offsets[index + 1], index)
