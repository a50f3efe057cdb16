"""The detector of synthetic rows: planted faults are found, clean rows are left in peace."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthgen.data.tables.reading import table_from_frame
from synthgen.data.tables.schema import TableData
from synthgen.errors import UsageError
from synthgen.explain.tables import forest
from synthgen.explain.tables.detector import adjusted_p, detect, reasons
from synthgen.explain.tables.features import contest
from synthgen.explain.tables.forest import explained, grow, judge


def frame(count: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = random.integers(18, 80, count).astype(float)
    return pd.DataFrame(
        {
            "age": age,
            "pay": np.round(age * 30 + random.normal(0, 300, count), 1),
            "city": random.choice(["Rome", "Paris", "Oslo"], count, p=[0.5, 0.3, 0.2]),
            "member": random.random(count) < 0.3,
        }
    )


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the trees: what is planted here is found all the same."""
    monkeypatch.setattr(forest, "TREES", 10)


def tables(change: str, count: int = 400) -> tuple[TableData, TableData]:
    real = table_from_frame(frame(count, 1))
    fake = frame(count, 2)
    random = np.random.default_rng(3)
    if change == "city":
        fake.loc[random.random(count) < 0.5, "city"] = "Oslo"
    if change == "missing":
        fake.loc[random.random(count) < 0.3, "age"] = np.nan
    if change == "pair":
        fake["pay"] = random.permutation(fake["pay"].to_numpy())
    return real, table_from_frame(fake, schema=real.schema)


def rows_of(change: str, count: int = 400):
    real, fake = tables(change, count)
    return contest(real, fake, 10_000, np.random.default_rng(0))


def test_the_planted_column_gives_the_rows_away_and_no_other() -> None:
    rows = rows_of("city")
    found = detect(rows, refits=39)
    assert found.found == ("city",) and found.sentence.startswith("city gives the rows away")
    assert found.auc > 0.55 and found.auc_p <= 0.05
    worst = int(np.where(rows.synthetic, found.verdicts.probability, -1).argmax())
    assert reasons(found, worst)[0][0] == "city"


def test_a_broken_relation_shows_in_its_columns_and_as_a_pair() -> None:
    found = detect(rows_of("pair"), refits=39)
    assert found.found and set(found.found) <= {"age", "pay"}
    assert set(found.pairs[0][:2]) == {"age", "pay"}


def test_rows_of_the_same_source_are_left_in_peace() -> None:
    found = detect(rows_of("nothing"), refits=39)
    assert found.found == () and found.sentence.startswith("No column gives the rows away")
    assert found.interval[0] < 0.5 < found.interval[1]


def test_contributions_add_up_to_the_forest_s_own_probability() -> None:
    rows = rows_of("city", 200)
    grown = grow(rows.values, rows.synthetic, 0)
    contributions, base = explained(grown, rows.values)
    np.testing.assert_allclose(base + contributions.sum(1), grown.predict_proba(rows.values)[:, 1], atol=1e-9)
    verdicts = judge(rows.values, rows.synthetic, 0)
    assert verdicts.gap < 1e-9
    again = judge(rows.values, rows.synthetic, 0)
    np.testing.assert_array_equal(verdicts.probability, again.probability)


def test_features_keep_order_equality_and_missing_values() -> None:
    real, fake = tables("missing")
    rows = contest(real, fake, 10_000, np.random.default_rng(0))
    age = rows.values[:, 0]
    values = np.concatenate([real.frame["age"], fake.frame["age"]])
    origin = np.concatenate([rows.origin[:400], 400 + rows.origin[400:]])
    values = values[origin]
    np.testing.assert_array_equal(age == -1, np.isnan(values))
    order = np.argsort(age[age >= 0], kind="stable")
    assert (np.diff(values[age >= 0][order]) >= 0).all()


def test_p_values_are_adjusted_for_the_number_of_columns_and_never_too_small() -> None:
    """Where nothing is wrong, any column at all is flagged in 5 % of cases (of 2,000, standard error 0.5 %)."""
    random = np.random.default_rng(1)
    flagged = 0
    for _ in range(2000):
        draws = random.standard_t(4, (40, 8)) * np.arange(1, 9)  # heavy tails, a scale per column
        flagged += bool((adjusted_p(draws[0], draws[1:]) <= 0.05).any())
    assert flagged / 2000 < 0.065
    assert adjusted_p(np.array([50.0, 0.0]), random.normal(size=(39, 2))).tolist() == pytest.approx(
        [0.025, 1.0], abs=0.5
    )


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(UsageError, match="too few"):
        detect(rows_of("nothing", 20))
