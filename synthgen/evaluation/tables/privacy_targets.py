"""Attacks on single people: linking two parts of a record, and inferring a value from all others.

Linkability and inference as in Giomi et al. 2023, 4.2 and 4.3: for every target the attacker looks up the synthetic row
that is nearest in the columns that he knows. Targets are drawn from the training rows, and for the control from rows
that the generator never saw; the synthetic rows, which are what he searches, are the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from synthgen.data.tables.schema import NUMERIC, ColumnSchema, TableData
from synthgen.evaluation.tables.privacy_risk import Attack
from synthgen.evaluation.tables.space import Points, Space, distances, numbers, texts

TOLERANCE = 0.05
"""How far a guessed number may be from the true one, in parts of the true one."""

DATE_TOLERANCE = 0.005
"""The same for dates, in parts of the range in the training rows: they have no zero to measure from."""

LINK_NEIGHBOURS = 1

_ROWS = 16
"""Targets at once."""


@dataclass(frozen=True)
class Scene:
    """Targets of both kinds and the synthetic rows, as points and as tables. `space` is that of the training rows."""

    space: Space
    synthetic: TableData
    points: Points
    targets: TableData
    target_points: Points
    controls: TableData
    control_points: Points

    @property
    def columns(self) -> tuple[ColumnSchema, ...]:
        return self.space.numeric + self.space.others


def stage(train: TableData, synthetic: TableData, control: TableData, *, attempts: int, seed: int) -> Scene:
    """Draw at most `attempts` targets from each side."""
    random = np.random.default_rng([seed, 5])
    space = Space(train)
    targets, controls = (one.select(random.permutation(len(one))[:attempts]) for one in (train, control))
    points = [space.encode(one) for one in (synthetic, targets, controls)]
    return Scene(space, synthetic, points[0], targets, points[1], controls, points[2])


def _parts(space: Space, names: Sequence[str]) -> tuple[list[int], list[int]]:
    """The places of columns among the numeric and among the other ones."""
    places = [[i for i, one in enumerate(some) if one.name in names] for some in (space.numeric, space.others)]
    return places[0], places[1]


def _nearest(
    points: Points,
    synthetic: Points,
    known: Sequence[tuple[list[int], list[int]]],
    count: int,
    check: Callable[[], None],
) -> list[np.ndarray]:
    """For every set of known columns the `count` nearest synthetic rows of every point: int64 (N, count) each.

    Equally near ones are taken in the order of the table, like everywhere.
    """
    found = [np.empty((len(points), count), np.int64) for _ in known]
    references = [synthetic.columns(*columns) for columns in known]
    for start in range(0, len(points), _ROWS):
        check()
        part = points.select(np.arange(start, min(start + _ROWS, len(points))))
        here = np.arange(len(part))
        for place, columns in enumerate(known):
            table = distances(part.columns(*columns), references[place])
            for rank in range(count):
                best = table.argmin(axis=1)
                found[place][start + here, rank] = best
                table[here, best] = np.inf
    return found


def linkability(
    scene: Scene,
    *,
    seed: int,
    halves: tuple[Sequence[str], Sequence[str]] | None = None,
    neighbours: int = LINK_NEIGHBOURS,
    check: Callable[[], None] = lambda: None,
) -> Attack | None:
    """Do two halves of a person's columns lead to the same synthetic row? None with fewer than two columns.

    halves: the columns of both; left out, a random split of all of them.
    """
    random = np.random.default_rng([seed, 7])
    names = [one.name for one in scene.columns]
    if len(names) < 2:
        return None
    if halves is None:
        order = random.permutation(len(names))
        halves = [names[i] for i in order[::2]], [names[i] for i in order[1::2]]
    known = [_parts(scene.space, half) for half in halves]
    count = min(neighbours, len(scene.points))
    links = []
    for points in (scene.target_points, scene.control_points):
        first, second = _nearest(points, scene.points, known, count, check)
        links.append(int((first[:, :, None] == second[:, None, :]).any(axis=(1, 2)).sum()))
    attempts = len(scene.targets)
    drawn = [[random.choice(len(scene.points), count, replace=False) for _ in range(attempts)] for _ in range(2)]
    lucky = sum(bool(np.intersect1d(a, b).size) for a, b in zip(*drawn, strict=True))
    return Attack("linkability", attempts, links[0], lucky, len(scene.controls), links[1])


def inference(
    scene: Scene,
    secrets: Sequence[str],
    *,
    seed: int,
    attempts: int,
    known: Sequence[str] | None = None,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Attack]:
    """For each secret column: is a person's value that of the synthetic row nearest in all other columns?

    A category has to be the same; a number within `TOLERANCE`, a date within `DATE_TOLERANCE`; a missing value missing.
    The naive guess is the value of a random synthetic row. Each secret has `attempts` targets of its own as far as
    there are enough, so that attacks are independent. known: the attacker's columns instead of all others.
    """
    random = np.random.default_rng([seed, 9])
    found = {}
    for place, secret in enumerate(secrets):
        column = scene.targets.schema[secret]
        columns = [one.name for one in scene.columns if one.name != secret and (known is None or one.name in known)]
        parts = [_parts(scene.space, columns)]
        counts, right, lucky = [], [], 0
        for table, points in ((scene.targets, scene.target_points), (scene.controls, scene.control_points)):
            chosen = np.unique(np.arange(place * attempts, (place + 1) * attempts) % len(table))
            rows = _nearest(points.select(chosen), scene.points, parts, 1, check)[0][:, 0]
            counts.append(len(chosen))
            right.append(int(_guessed(scene, column, table, chosen, rows).sum()))
            if table is scene.targets:
                guess = random.integers(0, len(scene.points), len(chosen))
                lucky = int(_guessed(scene, column, table, chosen, guess).sum())
        found[secret] = Attack(f"inference of {secret}", counts[0], right[0], lucky, counts[1], right[1])
    return found


def _guessed(scene: Scene, column: ColumnSchema, table: TableData, targets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Whether the synthetic `rows` hold the values of the rows `targets` of `table`: bool (N,)."""
    theirs, ours = table.frame[column.name].iloc[targets], scene.synthetic.frame[column.name].iloc[rows]
    if column.kind not in NUMERIC:
        return np.asarray(texts(theirs) == texts(ours), dtype=bool)
    truth, guess = numbers(theirs, column), numbers(ours, column)
    if column.kind == "datetime":
        allowed = np.full(len(truth), DATE_TOLERANCE * scene.space.width(column.name))
    else:
        allowed = TOLERANCE * np.abs(truth)
    both = np.isnan(truth) & np.isnan(guess)
    with np.errstate(invalid="ignore"):
        return np.asarray((np.abs(guess - truth) <= allowed) | both)
