"""From files to a result: which rows are test rows, what is refused, gates, leaks, several sets, the page."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthgen.data.tables.schema import TableData
from synthgen.downstream.leaks import Provenance
from synthgen.errors import GateError, UsageError
from synthgen.evaluation.gates import check_gates
from synthgen.evaluation.tables.comparing import (
    METRICS,
    Compared,
    choose_target,
    evaluate_table_sources,
    evaluate_tables,
)
from synthgen.evaluation.tables.measures import MEASURES
from synthgen.evaluation.tables.page import render
from synthgen.evaluation.tables.page_verdict import verdict
from synthgen.evaluation.tables.result import ranking
from synthgen.evaluation.tables.sources import check_leak, copy_warnings, leak_warnings
from tests.evaluation.tables.conftest import as_table
from tests.evaluation.tables.mixed import mixed, shuffled

FAST = ["shape", "trend", "missing", "variety"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """real.csv, test.csv, good.csv, broken.csv, and both.csv with a column `split`."""
    out = tmp_path_factory.mktemp("tables")
    real, test = mixed(300, 1), mixed(150, 2)
    real.to_csv(out / "real.csv", index=False)
    test.to_csv(out / "test.csv", index=False)
    mixed(250, 3).to_csv(out / "good.csv", index=False)
    shuffled(mixed(250, 3), 4).to_csv(out / "broken.csv", index=False)
    both = pd.concat([real.assign(split="train"), test.assign(split="test")])
    both.to_csv(out / "both.csv", index=False)
    return out


def evaluate(folder: Path, *fakes: str, real: str = "real.csv", **options: object) -> Compared:
    paths = [str(folder / fake) for fake in fakes]
    return evaluate_table_sources(str(folder / real), paths, **{"metrics": FAST, **options})  # type: ignore[arg-type]


def test_a_result_has_the_shape_of_the_others(folder: Path) -> None:
    compared = evaluate(folder, "good.csv", test=str(folder / "test.csv"))
    document = json.loads(json.dumps(compared.to_dict(), allow_nan=False))
    assert document["kind"] == "synthgen-evaluation" and document["modality"] == "tables"
    assert document["n"] == 250 and document["target"] == "buys"
    assert document["real"]["count"] == 300 and document["holdout"]["used"] == 150
    assert set(document["metrics"]["shape"]["floors"]) == {"bootstrap", "holdout", "smote"}
    assert document["metrics"]["shape"]["floor"] == document["metrics"]["shape"]["floors"]["bootstrap"]["value"]
    assert any("the last column, buys" in note for note in document["notes"])
    assert document["leak"]["status"] == "unknown"
    again = evaluate(folder, "good.csv", test=str(folder / "test.csv"))
    assert again.to_dict() == compared.to_dict()


def test_the_column_split_names_the_test_rows(folder: Path) -> None:
    one = evaluate(folder, "good.csv", real="both.csv").results[0]
    assert one.real.count == 300 and one.holdout is not None and one.holdout.count == 150
    alone = evaluate(folder, "good.csv").results[0]
    assert alone.holdout is None and alone.metrics["shape"].at("holdout") is None
    same = evaluate(folder, "good.csv", test=str(folder / "both.csv")).results[0]
    assert same.holdout is not None and same.holdout.count == 150


def test_several_sets_share_floors_and_n_and_are_ranked(folder: Path) -> None:
    compared = evaluate(folder, "broken.csv", "good.csv", count=200)
    broken, good = compared.results
    assert broken.n == good.n == 200
    assert broken.metrics["trend"].floors == good.metrics["trend"].floors
    sentence = ranking(compared.results)
    assert sentence is not None and sentence.startswith(f"{good.fake.name} is nearest")
    assert compared.to_dict()["kind"] == "synthgen-comparison"


def test_gates_are_judged_and_named(folder: Path) -> None:
    compared = evaluate(folder, "broken.csv", gates=["trend>1.5*floor", "shape>50%"])
    assert [gate.passed for gate in compared.results[0].gates] == [False, True]
    with pytest.raises(GateError, match="trend error is"):
        check_gates(compared.results)
    for gate, message in (
        ("tredn>1%", "did you mean 'trend'"),
        ("shape>2", "says the same of all tables"),
        ("fid>3", "unknown figure 'fid'"),
        ("tstr_auc<0.9", "needs the metric utility"),
    ):
        with pytest.raises(UsageError, match=message):
            evaluate(folder, "good.csv", gates=[gate])


def test_what_cannot_be_compared_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    mixed(50, 1).rename(columns={"age": "aeg"}).to_csv(other, index=False)
    with pytest.raises(UsageError, match=r"has no column 'age'.*did you mean 'aeg'"):
        evaluate(folder, str(other))
    with pytest.raises(UsageError, match=r"has no column 'byus' to predict.*did you mean 'buys'"):
        evaluate(folder, "good.csv", target="byus")
    with pytest.raises(UsageError, match="day is a date"):
        evaluate(folder, "good.csv", target="day")
    with pytest.raises(UsageError, match="given twice"):
        evaluate(folder, "good.csv", "good.csv")
    with pytest.raises(UsageError, match=r"unknown metric 'shapes'.*did you mean 'shape'"):
        evaluate(folder, "good.csv", metrics=["shapes"])
    with pytest.raises(UsageError, match="cannot compute distances: needs real rows"):
        evaluate(folder, "good.csv", metrics=["distances"])
    with pytest.raises(UsageError, match="5 rows a side are too few"):
        evaluate(folder, "good.csv", count=5)


def test_every_figure_belongs_to_one_measure() -> None:
    figures = [name for measure in MEASURES for name in measure.gives]
    assert len(figures) == len(set(figures)) and len(METRICS) == len(set(METRICS))
    assert all(set(measure.shares) <= set(measure.gives) for measure in MEASURES)


def test_leaks_are_told(real: TableData, held_out: TableData) -> None:
    def of(data: TableData) -> Provenance:
        return Provenance(data.name, data.split, len(data), data.fingerprint)

    assert check_leak(of(real), real, held_out).status == "clean"
    assert leak_warnings(check_leak(of(real), real, held_out)) == []
    assert check_leak(None, real, held_out).status == "unknown"
    assert check_leak(of(held_out), real, held_out).status == "test"
    other = real.select(np.arange(50))
    assert "not exactly" in leak_warnings(check_leak(of(other), real, held_out))[0]
    again = check_leak(of(real), real, real.select(np.arange(100)))
    assert again.overlap == 100 and "equal to training rows" in leak_warnings(again)[0]


def test_rows_that_are_equal_by_chance_accuse_nobody() -> None:
    """Of a few categories alone most rows of any test table are training rows too."""
    real, test = (as_table(mixed(count, seed)[["colour", "local", "buys"]]) for count, seed in ((300, 1), (200, 2)))
    leak = check_leak(None, real, test)
    assert leak.overlap > 150 and leak.expected > 150
    assert leak_warnings(leak) == []


def test_the_last_column_is_the_target_where_it_can_be(real: TableData) -> None:
    assert choose_target(real, None)[0] == "buys"
    assert choose_target(real, "size") == ("size", None)
    dated = as_table(mixed(60, 1)[["size", "day"]])
    assert choose_target(dated, None) == (None, None)


class Checker(HTMLParser):
    """Tags that are open, and every address that the page names."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts, self.addresses = 0, []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value]


def hostile(frame: pd.DataFrame) -> pd.DataFrame:
    """Names and values that a page must not take for its own."""
    frame = frame.rename(columns={"colour": "<script>alert(1)</script>"})
    frame["buys"] = frame["buys"].replace({"yes": "<img src=http://x>"})
    return frame


def test_the_page_shows_columns_pairs_and_verdict_and_runs_nothing_of_the_data() -> None:
    real = as_table(hostile(mixed(200, 1)))
    fakes = [as_table(hostile(frame), real) for frame in (mixed(150, 3), shuffled(mixed(150, 3), 1))]
    for count in (1, 2):
        compared = evaluate_tables(real, fakes[:count], metrics=FAST)
        text = render(compared, command_line="synthgen evaluate")
        checker = Checker()
        checker.feed(text)
        assert checker.scripts == 1 and all(one.startswith("#") for one in checker.addresses)
        assert "&lt;script&gt;" in text
        assert "Verdict" in text and "training rows drawn anew" in text
    assert "<svg" in text


def test_the_verdict_tells_good_rows_from_broken_ones() -> None:
    real, held = as_table(mixed(1500, 1)), None
    fakes = [as_table(frame, real) for frame in (mixed(1500, 3), shuffled(mixed(1500, 3), 1))]
    good, broken = evaluate_tables(real, fakes, held, metrics=["shape", "trend"]).results
    tones = [{one.topic: one.tone for one in verdict(result)} for result in (good, broken)]
    assert tones[0]["Columns and pairs"] == "good" and tones[1]["Columns and pairs"] in ("warn", "bad")
    assert tones[0]["Privacy"] == "info"  # nobody to compare with


def test_a_target_that_real_rows_do_not_give_away_makes_no_verdict_on_synthetic_ones() -> None:
    random = np.random.default_rng(5)
    real, fake = (as_table(pd.DataFrame(random.normal(size=(200, 3)), columns=["a", "b", "size"])) for _ in range(2))
    result = evaluate_tables(real, [fake], metrics=["utility"], target="size").results[0]
    worth = next(one for one in verdict(result) if one.topic == "Worth")
    assert worth.tone == "info" and "size cannot be predicted from real rows either" in worth.text


def test_missing_targets_are_no_obstacle_to_the_floors() -> None:
    frame = mixed(300, 1)
    frame.loc[::4, "buys"] = None
    real = as_table(frame)
    result = evaluate_tables(real, [real], metrics=["shape"], target="buys").results[0]
    assert result.metrics["shape"].at("smote") is not None


def test_copies_are_told_without_held_out_rows(real: TableData, held_out: TableData) -> None:
    result = evaluate_tables(real, [real], metrics=["shape"]).results[0]
    assert f"{len(real):,} of the {len(real):,} synthetic rows are equal" in result.warnings[0]
    assert not copy_warnings(real, held_out)
    few, other = (as_table(mixed(count, seed)[["colour", "local", "buys"]]) for count, seed in ((300, 1), (200, 2)))
    assert not copy_warnings(few, other)  # equal by chance
