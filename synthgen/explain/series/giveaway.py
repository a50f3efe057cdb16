"""What gives synthetic windows away: a forest that tries to tell them from real ones, beside its own chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthgen.explain.series.features import Feature, filled, strongest_pairs, window_features
from synthgen.explain.tables.detector import LEAST_ROWS, LEVEL, REFITS, Detection, detect, reasons
from synthgen.explain.tables.features import Contest
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.data.series.windows import WindowSet

LEAST_WINDOWS = LEAST_ROWS

QUESTION = (
    "Can a forest tell the synthetic windows from real ones, and by which properties? Every window is judged by a "
    "forest that never saw it. A property's figure is by how many percentage points it moves that judgement towards "
    "the truth, mean over all windows (TreeSHAP)."
)
CAVEAT = (
    "The forest sees the properties listed, not the curves: what shows in none of them stays hidden. That no property "
    "was found does not prove that none is wrong: fewer windows find less."
)


@dataclass(frozen=True, eq=False)
class Giveaway:
    """What the forest found. features: of each of the detection's columns. values: float64 (N, F), real windows first.

    origin: int64 (N,), a window's place on its side. synthetic: bool (N,).
    """

    detection: Detection
    features: tuple[Feature, ...]
    values: np.ndarray
    origin: np.ndarray
    synthetic: np.ndarray

    @property
    def found(self) -> bool:
        """Whether the forest does better than chance."""
        return bool(self.detection.auc_p <= LEVEL or self.detection.found)

    @property
    def sentence(self) -> str:
        """The finding in words."""
        gives = "gives" if len(self.detection.found) == 1 else "give"
        return self.detection.of_properties("windows", f"{{listed}} {gives} the windows away")

    def by_part(self) -> dict[str, dict[str, float]]:
        """How far properties of each channel, and of each span of steps, move the judgement towards the truth, in
        probability: {"channels": {name: sum}, "spans": {"steps 1 to 6": sum}}."""
        channels: dict[str, float] = {}
        spans: dict[str, float] = {}
        for feature, score in zip(self.features, self.detection.scores, strict=True):
            channels[feature.channel] = channels.get(feature.channel, 0.0) + float(score)
            if feature.span is not None:
                name = f"steps {feature.span[0]} to {feature.span[1]}"
                spans[name] = spans.get(name, 0.0) + float(score)
        return {"channels": channels, "spans": spans}

    def worst(self, most: int) -> list[tuple[int, float, list[tuple[str, float, float]]]]:
        """The synthetic windows that the forest is surest of: (place, probability, reasons), a reason being (property,
        value, contribution)."""
        chances = np.where(self.synthetic, self.detection.verdicts.probability, -1.0)
        order = np.argsort(-chances, kind="stable")[:most]
        listed = []
        for place in order[chances[order] >= 0]:
            names = {name: number for number, name in enumerate(self.detection.names)}
            why = [(name, float(self.values[place, names[name]]), value) for name, value in self._reasons(int(place))]
            listed.append((int(self.origin[place]), float(chances[place]), why))
        return listed

    def _reasons(self, place: int) -> list[tuple[str, float]]:
        return reasons(self.detection, place)


def give_away(
    real: WindowSet,
    fake: WindowSet,
    most: int,
    *,
    seed: int = 0,
    refits: int = REFITS,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Giveaway:
    """Train forests to tell windows apart by their properties; see `synthgen.explain.tables.detector.detect`.

    real: windows that do not overlap, else the forest knows the ones it is tested on. As many of either side are taken,
    drawn at random, at most `most`. Raises UsageError for fewer than 50, StoppedError.
    """
    random = np.random.default_rng([seed, 47])
    count = min(len(real.values), len(fake.values), most)
    picks = [random.permutation(len(side.values))[:count] for side in (real, fake)]
    values = np.concatenate([side.values[pick] for side, pick in zip((real, fake), picks, strict=True)])
    lengths = np.concatenate([side.lengths[pick] for side, pick in zip((real, fake), picks, strict=True)])
    pairs = strongest_pairs(real.values, real.kinds)
    features, table = window_features(values, np.maximum(lengths, 1), real.channels, real.kinds, pairs)
    there = filled(table)
    kept = np.flatnonzero(there.max(axis=0) > there.min(axis=0))
    features, table = tuple(features[one] for one in kept), table[:, kept]
    synthetic = np.repeat([False, True], count)
    origin = np.concatenate(picks).astype(np.int64)
    rows = Contest(tuple(feature.name for feature in features), there[:, kept], synthetic, origin)
    found = detect(rows, seed=seed, refits=refits, reporter=reporter, should_stop=should_stop)
    return Giveaway(found, features, table, origin, synthetic)
