"""`synthgen augment-classifier` on labelled series, as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import synthgen
from tests.conftest import TINY_SERIES, Cli
from tests.downstream.series.conftest import waves


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """real.npz with 40 waves to train on and 80 to test on, fake.npz with 60 more."""
    made = tmp_path_factory.mktemp("waves")
    (x, y, n), (tx, ty, tn), (fx, fy, fn) = (waves(count, seed) for seed, count in enumerate((40, 80, 60)))
    np.savez(made / "real.npz", X_train=x, y_train=y, len_train=n, X_test=tx, y_test=ty, len_test=tn)
    np.savez(made / "fake.npz", X=fx, y=fy, len=fn)
    return made


def test_a_person_reads_figures_and_a_script_a_document(cli: Cli, folder: Path) -> None:
    flags = ["--real", "real.npz", "--synthetic", "fake.npz", "--seeds", 2, "--classifier", "rocket"]
    shown = cli("augment-classifier", *flags, "--out", "report", cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert "ROCKET: test accuracy in %, 40 real sequences, 80 sequences" in " ".join(shown.stdout.split())
    assert "it is not known which sequences" in shown.stderr
    assert "--classifier rocket" in (folder / "report" / "report.html").read_text(encoding="utf-8")
    document = json.loads((folder / "report" / "augmentation.json").read_text(encoding="utf-8"))
    assert document["modality"] == "series" and document["classifier"] == "rocket"
    found = synthgen.augment_classifier(folder / "real.npz", folder / "fake.npz", seeds=(0, 1), classifier="rocket")
    assert found.to_dict()["variants"] == document["variants"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--filter", "nearest"], "--filter"),
        (["--target", "y"], "--target"),
        (["--classifier", "boosting"], "'boosting' is none of those for series"),
        (["--augment", "rotation=10"], "no change 'rotation=10' of series"),
        (["--synthetic", "gone.npz"], "gone.npz"),
        (["--real-size", 500], "40 sequences to train on"),
    ],
)
def test_mistakes_get_one_clear_error(cli: Cli, folder: Path, flags: list[object], message: str) -> None:
    base: list[object] = [] if "--synthetic" in flags else ["--synthetic", "fake.npz"]
    found = cli("augment-classifier", "--real", "real.npz", *base, *flags, cwd=folder)
    assert found.returncode == 2
    assert message in " ".join(found.stderr.split())
    assert "Traceback" not in found.stderr


@pytest.mark.slow
def test_a_generator_of_the_same_sequences_is_leak_free_and_one_that_saw_more_is_refused(
    cli: Cli, folder: Path
) -> None:
    tiny = [word for text in TINY_SERIES if "data." not in text for word in ("--set", text)]
    common = ["augment-classifier", "--real", "real.npz", "--seeds", 1, "--classifier", "rocket"]
    made = cli(
        *common, "--train-generator", "series", *tiny, "--set", "training.steps=30", "--count", 40, "-o", "work",
        "--json", cwd=folder,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    document = json.loads(made.stdout)
    assert document["leak"]["status"] == "clean" and document["synthetic_count"] == 40
    run = folder / "work" / "real-all" / "generator"
    more = cli(*common, "--synthetic", run, "--real-size", 20, "--count", 40, cwd=folder)
    assert more.returncode == 2 and "leak" in more.stderr
    rare = cli(*common, "--synthetic", run, "--imbalance", "slow=0.2", "--allow-leak", "--json", cwd=folder)
    assert rare.returncode == 0, rare.stderr
    document = json.loads(rare.stdout)
    assert document["synthetic_count"] == document["class_counts"]["fast"] - document["class_counts"]["slow"]
    assert document["leak_free"] is False
