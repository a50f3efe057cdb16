"""The experiment on small tables: what helps is found to help, leaks are named, rare classes are filled up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthgen.data.tables.reading import table_from_frame
from synthgen.data.tables.schema import TableData
from synthgen.downstream.leaks import Provenance
from synthgen.downstream.tables.leaks import check_table_leak, spread_rows
from synthgen.downstream.tables.learners import Constant, Recipe, Rows, fit, predict, tune
from synthgen.downstream.tables.page import document_of, write_report
from synthgen.downstream.tables.problem import Encoder, Problem, pose
from synthgen.downstream.tables.protocol import Request, run_protocol
from synthgen.downstream.tables.result import Design
from synthgen.downstream.tables.variants import training_sets
from synthgen.downstream.variants import Imbalance
from synthgen.errors import StoppedError, UsageError

FAST = Design(learners=("boosting",), seeds=(0, 1))


def flowers(count: int, seed: int, noise: float = 1.0) -> pd.DataFrame:
    """Two classes of 3 : 1 that a curve in two numbers tells apart, and a price that follows from both."""
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(2, count))
    lift = np.where(random.random(count) < 0.1, np.nan, random.normal(size=count))
    score = x * y + 0.8 * x + noise * 0.5 * random.normal(size=count)
    return pd.DataFrame(
        {
            "x": x,
            "y": y,
            "lift": lift,
            "soil": random.choice(["clay", "sand", "peat"], count),
            "price": 3 * x + y**2 + noise * random.normal(size=count),
            "kind": np.where(score > 0.9, "rose", "weed"),
        }
    )


def files(folder: Path, **counts: int) -> dict[str, str]:
    made = {}
    for seed, (name, count) in enumerate(counts.items()):
        made[name] = str(folder / f"{name}.csv")
        flowers(count, seed).to_csv(made[name], index=False)
    return made


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, str]:
    return files(tmp_path, real=150, test=600, fake=1500)


def test_more_true_rows_help_and_the_page_says_so(tables: dict[str, str], tmp_path: Path) -> None:
    """The synthetic rows are fresh draws of the truth: ten times the real ones must help."""
    request = Request(tables["real"], (tables["fake"],), test=tables["test"], target="kind", design=FAST)
    (found,) = run_protocol(request)
    assert found.verdict == "helps"
    assert found.measure == "auc"
    assert found.positives == ("rose",)
    assert found.real_count == 150
    assert found.find("both", "smote", "boosting").difference.verdict == "helps"
    assert "That it is the generator's merit is not shown" in found.sentence
    variants = found.trained[0].variants
    assert {name: one.rows for name, one in variants.items()} == {
        "real": 150,
        "smote": 1650,
        "synthetic": 1500,
        "both": 1650,
    }
    page = write_report(tmp_path, [found], command_line="synthgen augment-classifier").read_text(encoding="utf-8")
    assert found.sentence.split(" (")[0] in page
    assert "real + SMOTE" in page
    document = document_of([found])
    assert document["verdict"] == "helps"
    assert document["leak_free"] is False


def test_synthetic_rows_have_no_say_in_the_settings(tables: dict[str, str], tmp_path: Path) -> None:
    """A generator knows the rows that settings are chosen on: tuned with its copies of them, a longer training that
    learns them by heart would look best. So the recipe must not depend on the synthetic rows at all."""
    pd.read_csv(tables["real"]).sample(1000, replace=True, random_state=0).to_csv(tmp_path / "copies.csv", index=False)
    design = Design(learners=("boosting",), seeds=(0,))
    recipes = [
        run_protocol(Request(tables["real"], (fake,), test=tables["test"], target="kind", design=design))[0]
        .trained[0]
        .recipe
        for fake in (tables["fake"], str(tmp_path / "copies.csv"))
    ]
    assert recipes[0] == recipes[1]


def test_rows_of_noise_hurt(tables: dict[str, str], tmp_path: Path) -> None:
    wrong = flowers(1500, 2)
    wrong["kind"] = np.random.default_rng(0).permutation(wrong["kind"])
    wrong.to_csv(tmp_path / "wrong.csv", index=False)
    request = Request(tables["real"], (str(tmp_path / "wrong.csv"),), test=tables["test"], target="kind", design=FAST)
    assert run_protocol(request)[0].verdict == "hurts"


def test_numbers_are_regressed_and_ratios_make_variants(tables: dict[str, str]) -> None:
    design = Design(learners=("boosting", "mlp"), seeds=(0, 1), ratios=(1.0, None))
    request = Request(tables["real"], (tables["fake"],), test=tables["test"], target="price", design=design)
    (found,) = run_protocol(request)
    assert found.problem.regression
    assert found.measures == ("r2",)
    assert found.trained[0].variants["both_ratio_1"].rows == 300
    assert found.trained[0].variants["both_ratio_all"].rows == 1650
    assert found.find("both", "real", "boosting").difference.verdict == "helps"
    for trained in found.trained:
        assert 0.3 < trained.variants["synthetic"].figures["r2"].mean < 1


def test_rare_classes_are_filled_up(tables: dict[str, str], tmp_path: Path) -> None:
    real = files(tmp_path, many=600)["many"]
    request = Request(
        real,
        (tables["fake"],),
        test=tables["test"],
        target="kind",
        imbalance=Imbalance(shares=(("rose", 0.1),)),
        design=FAST,
    )
    (found,) = run_protocol(request)
    assert found.rare == ("rose",)
    assert found.measure == "average_precision"
    rose, weed = found.class_counts
    assert rose < 0.1 * weed
    variants = found.trained[0].variants
    assert list(variants) == ["real", "repeated", "filled_smote", "filled"]
    assert variants["repeated"].rows == variants["filled_smote"].rows == 2 * weed
    assert variants["filled"].figures["rare_recall"].mean > variants["real"].figures["rare_recall"].mean
    assert any("too few synthetic rows of 'rose'" in text for text in found.warnings)


def test_without_test_rows_a_fifth_is_cut_off_and_never_trained_on(tables: dict[str, str]) -> None:
    (found,) = run_protocol(Request(tables["real"], (tables["fake"],), target="kind", design=FAST))
    assert (found.real_count, found.test_count) == (120, 30)
    assert "cut off" in found.test


def test_stop_and_wrong_requests(tables: dict[str, str]) -> None:
    real, fake = tables["real"], (tables["fake"],)
    with pytest.raises(StoppedError):
        run_protocol(Request(real, fake, target="kind", design=FAST), should_stop=lambda: True)
    for request, message in (
        (Request(real), "nothing to augment with"),
        (Request(real, fake, "table"), "either"),
        (Request(real, fake, target="nope"), "no column 'nope'"),
        (Request(real, fake, target="price", imbalance=Imbalance(share=0.5)), "--imbalance is for classes"),
        (Request(real, fake, target="kind", real_sizes=(5000,)), "150|120"),
        (Request(real, fake, target="kind", count=5000), "1,500 rows"),
        (Request(real, train_generator="table", target="kind"), "needs --out"),
        (Request(real, fake, budget="1m", target="kind"), "were? those of|are those of"),
    ):
        with pytest.raises(UsageError, match=message):
            run_protocol(request)


def data(count: int, seed: int = 0) -> TableData:
    return table_from_frame(flowers(count, seed))


def test_leaks() -> None:
    given, test = data(100), data(40, 1)
    rows = spread_rows(100, 30)
    used = given.select(rows)

    def status(fingerprint: str, count: int, cut: np.ndarray = np.zeros(0, np.int64)) -> str:  # noqa: B008
        generator = Provenance("t", "all", count, fingerprint)
        return check_table_leak(generator, given, used, test, used_rows=rows, test_rows=cut, with_test="both").status

    assert status(used.fingerprint, 30) == "clean"
    assert status(given.fingerprint, 100) == "more"
    assert status(given.fingerprint, 100, np.array([5])) == "test"
    assert status(test.fingerprint, 40) == "test"
    assert status("both", 140) == "test"
    assert status(given.select(spread_rows(100, 10)).fingerprint, 10) in ("clean", "more")
    assert status("stranger", 100) == "other"
    assert check_table_leak(None, given, used, test, used_rows=rows, test_rows=rows, with_test=None).status == "unknown"


def test_a_limited_run_is_clean_beside_as_many_real_rows(tmp_path: Path) -> None:
    """`data.limit=N` and --real-size N choose the same rows."""
    from synthgen.config.tables import TableDataConfig
    from synthgen.data.tables.reading import read_table

    path = files(tmp_path, real=90)["real"]
    whole = read_table(path)
    limited = read_table(path, TableDataConfig(limit=25), schema=whole.schema)
    assert limited.fingerprint == whole.select(spread_rows(90, 25)).fingerprint


def test_what_can_be_predicted() -> None:
    frame = flowers(50, 0).assign(
        when=pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(50), "D"), two=[0, 1] * 25
    )
    table = table_from_frame(frame)
    assert pose(table, "kind").classes == ("rose", "weed")
    assert pose(table, "price").regression
    assert len(pose(table, "two").classes) == 2
    with pytest.raises(UsageError, match="a date"):
        pose(table, "when")


def test_encoders_know_the_training_rows_alone() -> None:
    train, other = data(60), data(20, 5)
    other.frame.loc[0, "soil"] = "lava"
    encoder = Encoder(train, "kind")
    cells, features = encoder.cells(other), encoder.features(other)
    soil = [column.name for column in encoder.columns].index("soil")
    assert np.isnan(cells[0, soil]) and not np.isnan(cells[1:, soil]).any()
    assert encoder.categorical.tolist() == [name == "soil" for name in ("x", "y", "lift", "soil", "price")]
    assert np.isfinite(features).all() and np.abs(features).max() <= 1


def test_rows_of_one_class_give_a_constant() -> None:
    problem = Problem("kind", ("rose", "weed"))
    train = Rows(np.zeros((30, 1)), np.ones(30, np.int64))
    recipe = tune("boosting", problem, train, train, np.array([False]), seed=0)
    model = fit("boosting", problem, train, np.array([False]), recipe, seed=0)
    assert model == Constant(1)
    assert predict(model, problem, np.zeros((2, 1))).tolist() == [[0.0, 1.0], [0.0, 1.0]]


def test_seeds_of_boosting_differ_and_repeat() -> None:
    table = data(300)
    problem = pose(table, "kind")
    encoder = Encoder(table, "kind")
    train = Rows(encoder.cells(table), problem.labels(table))
    recipe = Recipe({"learning_rate": 0.1, "max_leaf_nodes": 8, "min_samples_leaf": 10}, 20, 0.0)

    def answers(seed: int) -> np.ndarray:
        model = fit("boosting", problem, train, encoder.categorical, recipe, seed=seed)
        return predict(model, problem, train.x)

    assert np.array_equal(answers(0), answers(0))
    assert not np.array_equal(answers(0), answers(1))


def test_synthetic_rows_of_the_variants_are_nested() -> None:
    real, fake = data(40), data(200, 1)
    problem = pose(real, "kind")
    sets = {one.name: one for one in training_sets(problem, real, fake, ratios=(0.5, 2.0))}
    small, large = (sets[f"both_ratio_{ratio}"].rows(real, 0).frame for ratio in ("0.5", "2"))
    assert (len(small), len(large)) == (60, 120)
    assert small["x"].isin(large["x"]).all()
