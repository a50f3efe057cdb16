"""Distances, matches and membership: closed forms, planted copies, and rows that are as new as held-out ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthgen.data.tables.schema import ColumnSchema, TableData, TableSchema
from synthgen.errors import UsageError
from synthgen.evaluation.tables.measure import TableParts
from synthgen.evaluation.tables.privacy import DISTANCES, MEASURES, MEMBERSHIP, evaluate_privacy
from synthgen.evaluation.tables.privacy_distances import Ground, below_median, matches, nearer_share, reach
from synthgen.evaluation.tables.privacy_membership import membership
from synthgen.evaluation.tables.space import Points, Space


def people(count: int, seed: int) -> TableData:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "x": random.normal(size=count),
            "n": pd.array(random.integers(0, 90, count), dtype="Int64"),
            "city": pd.Series(random.choice(["Lima", "Oslo", None], count), dtype=object),
            "id": pd.Series([f"{seed}/{k}" for k in range(count)], dtype=object),
        }
    )
    kinds = {"x": "number", "n": "integer", "city": "category", "id": "identifier"}
    return TableData(frame, TableSchema(tuple(ColumnSchema(k, v) for k, v in kinds.items())), f"people {seed}")


def line(*values: float) -> Points:
    return Points(np.array([values], np.float32), np.zeros((0, len(values)), np.int32))


def figures(found: object) -> dict[str, float]:
    return {one.name: one.value for one in found.metrics}  # type: ignore[attr-defined]


def test_nearest_second_and_ties() -> None:
    found = reach(line(0.0, 0.5, 0.9), line(0.1, 0.1, 0.5, 0.8))
    assert found.nearest == pytest.approx([0.1, 0.0, 0.1], abs=1e-6)
    assert found.second == pytest.approx([0.1, 0.3, 0.4], abs=1e-6)
    assert found.ties.tolist() == [2, 1, 1]
    assert found.ratios == pytest.approx([1.0, 0.0, 0.25], abs=1e-5)
    assert reach(line(0.5), line(0.5, 0.5)).ratios.tolist() == [1.0]


def test_the_share_of_nearer_rows_is_that_of_equal_sizes() -> None:
    """Strangers among three times as many training rows as held-out ones: 75 % are nearer to train, which says 50 %."""
    random = np.random.default_rng(0)
    train, holdout, fake = (line(*random.random(count)) for count in (1500, 500, 4000))
    ours, theirs = reach(fake, train), reach(fake, holdout)
    assert np.mean(ours.nearest < theirs.nearest) == pytest.approx(0.75, abs=0.03)
    found = nearer_share(ours, theirs, 1500, 500)
    assert found.interval is not None
    assert found.interval[0] < 0.5 < found.interval[1]


def test_ties_count_by_how_many_rows_are_as_near() -> None:
    """Values from three categories: all distances are 0, and three quarters of the equal rows are training rows."""
    codes = [np.arange(count, dtype=np.int32)[None] % 3 for count in (900, 300, 30)]
    train, holdout, fake = (Points(np.zeros((0, one.shape[1]), np.float32), one) for one in codes)
    found = nearer_share(reach(fake, train), reach(fake, holdout), 900, 300)
    assert found.value == pytest.approx(0.5)


def test_below_the_median_of_held_out_rows() -> None:
    assert below_median(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.5, 1.5, 2.5])).value == 0.5
    # Seven of ten held-out rows lie at their median 0: as many of equally distributed rows, and one half is the answer.
    spread = np.array([0.0] * 7 + [1.0, 2.0, 3.0])
    assert below_median(spread, spread).value == pytest.approx(0.5)


def test_matches_leave_identifiers_out() -> None:
    train = people(50, 0)
    again = people(50, 0)
    again.frame["id"] = "other"
    assert matches(again, train).all()
    assert not matches(people(50, 1), train).any()


def test_a_copy_is_caught_and_strangers_are_clean() -> None:
    train, holdout = people(600, 0), people(600, 1)
    copy, strangers = (
        evaluate_privacy(train, fake, holdout, seed=0) for fake in (train.select(np.arange(500)), people(500, 2))
    )
    found = figures(copy["distances"])
    assert found["dcr_share"] > 0.99
    assert found["dcr_below"] == 1.0
    assert found["matches"] == 1.0
    assert found["dcr"] == 0.0
    assert copy["distances"].warnings
    for name in ("singling_out", "linkability", "inference"):
        assert copy[name].warnings, name
        assert not strangers[name].warnings, name
    found = figures(strangers["distances"])
    assert found["dcr_share"] == pytest.approx(0.5, abs=0.07)
    assert found["dcr_below"] == pytest.approx(0.5, abs=0.07)
    assert found["matches"] == 0.0
    assert not strangers["distances"].warnings
    assert "membership" not in copy
    by_name = {one.name: one for one in strangers["distances"].metrics}
    assert by_name["dcr"].at("holdout") is not None
    assert by_name["dcr_share"].at("bootstrap").value > 0.99  # type: ignore[union-attr]


def test_without_held_out_rows_it_says_why() -> None:
    train = people(60, 0)
    parts = TableParts(train, train, None, train, None)
    for measure in MEASURES:
        reason = measure.impossible(parts)
        assert reason is not None
    assert "--test" in str(DISTANCES.impossible(parts))
    with pytest.raises(UsageError, match="20 rows"):
        evaluate_privacy(train, train, people(3, 1))


def test_caps_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthgen.evaluation.tables.privacy_distances.MOST_REFERENCES", 100)
    train = people(300, 0)
    parts = TableParts(train, people(50, 2), people(200, 1), people(50, 3), None)
    assert DISTANCES.measure(parts).notes == (
        "distances: 100 random rows of the 300 training rows",
        "distances: 100 random rows of the 200 held-out rows",
    )


def test_scores_that_tell_members_and_scores_that_do_not() -> None:
    random = np.random.default_rng(0)
    train, new = random.normal(size=2000) + 0.5, random.normal(size=2000)
    found = membership(train, new)
    assert found.auc.value == pytest.approx(0.638, abs=0.02)  # Phi(0.5 / sqrt 2)
    assert found.caught.value == pytest.approx(0.0339, abs=0.015)  # 1 - Phi(2.326 - 0.5)
    same = membership(random.normal(size=2000), new)
    assert same.auc.interval is not None and same.auc.interval[0] < 0.5 < same.auc.interval[1]
    assert membership(np.full(50, 9.0), np.zeros(50)).caught.value == 1.0


def test_membership_asks_the_generator() -> None:
    """A generator that gives its training rows 10 nats more is caught; one that knows nobody is not."""
    train, holdout = people(300, 0), people(300, 1)
    known = set(train.frame["x"])

    def parrot(frame: pd.DataFrame) -> np.ndarray:
        return np.array([10.0 * (x in known) for x in frame["x"]]) + frame["x"].to_numpy() / 10

    bootstrap = train.select(np.arange(100))
    caught = MEMBERSHIP.measure(TableParts(train, holdout, holdout, bootstrap, None, likelihood=parrot))
    assert figures(caught) == {"membership": 1.0, "membership_caught": 1.0}
    assert caught.warnings
    innocent = TableParts(train, holdout, holdout, bootstrap, None, likelihood=lambda frame: frame["x"].to_numpy())
    assert not MEMBERSHIP.measure(innocent).warnings


def test_the_ground_is_one_for_all_synthetic_tables() -> None:
    train, holdout = people(200, 0), people(200, 1)
    ground = Ground(train, holdout, seed=0)
    assert ground.measure(train).dcr.value == 0.0
    assert ground.measure(people(200, 2)).n == 200
    assert ground.floor()["dcr"] > 0
    assert len(Space(train).encode(train)) == 200
