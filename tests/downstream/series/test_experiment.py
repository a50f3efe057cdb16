"""The experiment on small series: what helps is found to help, leaks are refused, rare classes are filled up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthgen.data.series.reading import read_series, series_from_array
from synthgen.data.series.windows import windows_of
from synthgen.downstream.leaks import LeakCheck, Provenance
from synthgen.downstream.series.classifiers import SeriesRecipe
from synthgen.downstream.series.experiment import Lab, Sides, cross_validated, run_experiment
from synthgen.downstream.series.page import document_of, write_report
from synthgen.downstream.series.protocol import Request, run_protocol
from synthgen.downstream.series.result import SeriesDesign
from synthgen.downstream.series.windows import TestSequences, labelled_windows, labels_of, window_length
from synthgen.downstream.tables.leaks import check_table_leak
from synthgen.downstream.variants import Imbalance
from synthgen.errors import UsageError
from tests.downstream.series.conftest import waves

FAST = SeriesDesign(recipe=SeriesRecipe(kernels=60, steps=10), seeds=(0, 1))


def write(path: Path, train: int, test: int, noise: float = 1.2) -> str:
    """An npz with `train` and `test` waves."""
    arrays = {}
    for seed, (part, count) in enumerate({"train": train, "test": test}.items()):
        if count:
            values, labels, lengths = waves(count, seed + train, noise)
            arrays |= {f"X_{part}": values, f"y_{part}": labels, f"len_{part}": lengths}
    np.savez(path, **arrays)
    return str(path)


@pytest.fixture
def real(tmp_path: Path) -> str:
    return write(tmp_path / "real.npz", 14, 300)


def test_fresh_draws_of_the_truth_help_and_the_page_says_so(real: str, tmp_path: Path) -> None:
    fake = write(tmp_path / "fake.npz", 400, 0)
    (found,) = run_protocol(Request(real, (fake,), classifiers=("rocket",), design=FAST, out=tmp_path / "out"))
    one = found.results["rocket"]
    assert found.verdict == "helps"
    assert {name: variant.images for name, variant in one.variants.items()} == {
        "real": 14,
        "real_classical": 14,
        "synthetic": 400,
        "both": 414,
        "both_classical": 414,
    }
    assert (one.real_count, one.test_count, one.synthetic_count) == (14, 300, 400)
    low, high = one.headline.difference.low, one.headline.difference.high
    assert low < one.variants["both"].mean - one.variants["real"].mean < high
    assert "That it is the generator's merit is not shown" in found.sentence
    page = write_report(tmp_path / "out", [found], command_line="synthgen augment-classifier").read_text("utf-8")
    assert "Do the synthetic sequences help?" in page and "images" not in page
    document = json.loads((tmp_path / "out" / "augmentation.json").read_text("utf-8"))
    assert document["modality"] == "series" and document["variants"]["both"]["sequences"] == 414
    assert document["classifiers"]["rocket"]["verdict"] == "helps"


def test_finished_trainings_are_not_made_again(real: str, tmp_path: Path) -> None:
    request = Request(real, (real,), classifiers=("cnn",), design=FAST, out=tmp_path / "out")
    first = run_protocol(request)[0].results["cnn"]
    kept = sorted((tmp_path / "out" / "trainings").iterdir())
    assert len(kept) == 10
    np.savez(kept[0], read=np.zeros(300, np.int32), confidence=np.ones(300, np.float32))
    again = run_protocol(request, resume=True)[0].results["cnn"]
    changed = [name for name in first.variants if first.variants[name].mean != again.variants[name].mean]
    assert len(changed) == 1


def test_two_classifiers_stand_beside_each_other_and_no_test_series_chooses(real: str, tmp_path: Path) -> None:
    fake = write(tmp_path / "fake.npz", 60, 0)
    (found,) = run_protocol(Request(real, (fake,), design=FAST))
    assert set(found.results) == {"rocket", "cnn"} == set(found.cross_validated)
    assert found.cross_validated[found.classifier] == max(found.cross_validated.values())
    document = document_of([found])
    assert set(document["classifiers"]) == {"rocket", "cnn"}  # type: ignore[call-overload]
    assert found.results["rocket"].variants["real"].calibration_error is None
    assert found.results["cnn"].variants["real"].calibration_error is not None


def test_windows_of_one_sequence_of_each_class_are_not_cross_validated(tmp_path: Path) -> None:
    """Ten windows a class, but two sequences in all: no fold could hold both classes."""
    values, labels, lengths = waves(20, 3)
    whole = labelled_windows(series_from_array(values, labels=labels, lengths=lengths), 16)
    train = replace(whole, sequence=labels_of(whole))
    lab = Lab(Sides(train, TestSequences.of(whole), 2, "test"), whole, FAST)
    assert np.isnan(cross_validated(lab, "rocket"))
    assert 0.5 < cross_validated(Lab(Sides(whole, TestSequences.of(whole), 20, "test"), whole, FAST), "rocket") <= 1


def test_copies_of_test_sequences_and_real_ones_as_synthetic_are_told(real: str, tmp_path: Path) -> None:
    values = np.load(real)["X_test"]
    np.savez(tmp_path / "copies.npz", X=values, y=np.load(real)["y_test"], len=np.load(real)["len_test"])
    (found,) = run_protocol(Request(real, (str(tmp_path / "copies.npz"),), classifiers=("rocket",), design=FAST))
    assert any("300 of the synthetic sequences are exact copies of test sequences" in text for text in found.warnings)


def test_rare_classes_are_filled_up(real: str, tmp_path: Path) -> None:
    fake = write(tmp_path / "fake.npz", 200, 0)
    real = write(tmp_path / "more.npz", 40, 200)
    request = Request(real, (fake,), imbalance=Imbalance(shares=(("slow", 0.1),)), classifiers=("rocket",), design=FAST)
    (found,) = run_protocol(request)
    one = found.first
    assert dict(zip(one.class_names, one.class_counts, strict=True)) == {"fast": 20, "slow": 2}
    assert {name: variant.images for name, variant in one.variants.items()} == {
        "real": 22,
        "repeated": 40,
        "repeated_classical": 40,
        "filled": 40,
        "filled_classical": 40,
    }
    assert one.rare == ("slow",)
    assert any(comparison.measure == "rare_recall" for comparison in one.comparisons)


def test_leaks_are_named(real: str) -> None:
    given, test, whole = (read_series(real, split=part) for part in ("train", "test", "all"))
    half = given.select(np.arange(0, 14, 2))
    nothing = np.empty(0, np.int64)

    def status(seen: object, used: object = given) -> str:
        origin = Provenance(seen.name, seen.split, len(seen), seen.fingerprint)  # type: ignore
        found = check_table_leak(
            origin, given, used, test, used_rows=np.arange(14), test_rows=nothing, with_test=whole.fingerprint,
            unit="sequences",
        )  # fmt: skip
        return found.status

    assert status(given) == "clean"
    assert status(whole) == "test"
    assert status(test) == "test"
    assert status(half) == "other"  # not the evenly spread half: nothing says that it is a part
    found = check_table_leak(
        Provenance(given.name, "train", 14, given.fingerprint), given, half, test, used_rows=np.arange(0, 14, 2),
        test_rows=nothing, unit="sequences",
    )  # fmt: skip
    assert found.status == "more" and "14 real sequences" in found.message
    with pytest.raises(UsageError, match="leak: "):
        found.require(allow_leak=False)


def test_answers_for_windows_of_a_sequence_are_brought_together() -> None:
    values, labels, _ = waves(6)
    data = series_from_array(np.nan_to_num(values), labels=labels)
    assert window_length(data, data, 8) == 8
    assert window_length(data, data, 9) == 16
    windows = labelled_windows(data, 8)
    test = TestSequences.of(windows)
    assert (len(windows), len(test)) == (12, 6)
    assert test.labels.tolist() == labels_of(windows_of(data, 16)).tolist()
    scores = np.log(np.array([[0.9, 0.1], [0.4, 0.6]] * 6))
    assert np.allclose(test.together(scores), np.log([[0.9, 0.1], [0.4, 0.6]]).mean(axis=0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"synthetic": ("gone.npz",)}, "gone.npz"),
        ({"real_sizes": (50,)}, "14 sequences to train on, and 50 were asked for"),
        ({"imbalance": Imbalance(shares=(("tree", 0.1),))}, "no class 'tree'"),
        ({"count": 9999}, "--count 9,999"),
    ],
)
def test_mistakes_get_one_clear_error(real: str, change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as error:
        run_protocol(Request(**{"real": real, "synthetic": (real,), "design": FAST, **change}))  # type: ignore[arg-type]
    assert message in error.value.message


def test_series_without_classes_or_test_part_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "bare.npz", X=waves(10)[0])
    with pytest.raises(UsageError, match="no classes"):
        run_protocol(Request(str(tmp_path / "bare.npz"), (str(tmp_path / "bare.npz"),), design=FAST))
    single = str(tmp_path / "single.npz")
    np.savez(single, X=waves(10)[0], y=np.arange(len(waves(10)[0])))
    with pytest.raises(UsageError, match=r"no test sequences: .*no class has enough for a share of 0\.2"):
        run_protocol(Request(single, (single,), design=FAST))


def test_one_class_is_refused() -> None:
    values, labels, _ = waves(20)
    data = series_from_array(np.nan_to_num(values), labels=labels)
    windows = labelled_windows(data, 16)
    only = windows.select(np.flatnonzero(labels_of(windows) == 0))
    sides = Sides(only, TestSequences.of(windows), 10, "test")
    leak = LeakCheck("unknown", "", None)
    with pytest.raises(UsageError, match="all of one class"):
        run_experiment(sides, windows, leak, FAST, ("rocket",))
