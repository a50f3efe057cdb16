"""`synthgen augment-classifier` on a table, as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import Cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """real.csv, test.csv and fake.csv of the same two classes."""
    made = tmp_path_factory.mktemp("tables")
    for seed, (name, count) in enumerate({"real": 80, "test": 200, "fake": 300}.items()):
        random = np.random.default_rng(seed)
        x, y = random.normal(size=(2, count)).round(3)
        kind = np.where(x * y + x > 0.3, "rose", "weed")
        pd.DataFrame({"x": x, "y": y, "kind": kind}).to_csv(made / f"{name}.csv", index=False)
    return made


def test_a_person_reads_figures_and_a_script_a_document(cli: Cli, folder: Path) -> None:
    flags = ["--real", "real.csv", "--synthetic", "fake.csv", "--test", "test.csv", "--seeds", 2]
    shown = cli("augment-classifier", *flags, "--classifier", "boosting", "--out", "report", cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert "AUC of 'kind', 80 real rows, 200 test rows" in " ".join(shown.stdout.split())
    assert "real + SMOTE" in shown.stdout
    assert "--target names another one" in shown.stderr
    assert "it is not known which rows" in shown.stderr
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    assert "Do the synthetic rows help?" in page
    assert "--classifier boosting" in page
    document = json.loads((folder / "report" / "augmentation.json").read_text(encoding="utf-8"))
    assert document["modality"] == "tables"
    assert document["verdict"] in shown.stdout or document["verdict"] == "no difference"
    again = cli("augment-classifier", *flags, "--classifier", "boosting", "--quiet", cwd=folder)
    assert again.stdout.strip() == document["verdict"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--filter", "nearest"], "--filter is for images"),
        (["--steps", 5], "--steps is for images"),
        (["--classifier", "cnn"], "'cnn' is none of those for tables"),
        (["--target", "kid"], "did you mean 'kind'?"),
        (["--synthetic", "gone.csv"], "gone.csv"),
        (["--imbalance", "tree=0.1"], "no class 'tree'"),
        (["--real-size", 500], "80 rows to train on"),
        (["--resume"], "--resume needs --out"),
    ],
)
def test_mistakes_get_one_clear_error(cli: Cli, folder: Path, flags: list[object], message: str) -> None:
    base = ["--real", "real.csv", "--test", "test.csv"]
    base += [] if "--synthetic" in flags else ["--synthetic", "fake.csv"]
    found = cli("augment-classifier", *base, *flags, cwd=folder)
    assert found.returncode == 2
    assert message in " ".join(found.stderr.split())
    assert "Traceback" not in found.stderr


def test_target_is_not_for_images(cli: Cli, corners_npz: Path) -> None:
    found = cli("augment-classifier", "--real", corners_npz, "--synthetic", corners_npz, "--target", "x")
    assert found.returncode == 2
    assert "--target is for tables" in " ".join(found.stderr.split())


@pytest.mark.slow
def test_a_generator_trained_on_the_same_rows_is_leak_free_and_one_that_saw_more_is_refused(
    cli: Cli, folder: Path
) -> None:
    """From one command to rare classes that are filled up by condition."""
    tiny = ["--set", "training.steps=40", "--set", "model.width=32", "--set", "model.blocks=1"]
    common = [
        "augment-classifier",
        "--real",
        "real.csv",
        "--test",
        "test.csv",
        "--seeds",
        2,
        "--classifier",
        "boosting",
    ]
    made = cli(*common, "--train-generator", "table", *tiny, "--count", 100, "-o", "work", "--json", cwd=folder)
    assert made.returncode == 0, made.stderr
    document = json.loads(made.stdout)
    assert document["leak"]["status"] == "clean"
    assert document["synthetic_count"] == 100
    run = folder / "work" / "real-all" / "generator"
    rare = cli(*common, "--synthetic", run, "--real-size", 60, cwd=folder)
    assert rare.returncode == 2
    assert "leak" in rare.stderr
    rare = cli(*common, "--synthetic", run, "--imbalance", "rose=0.2", "--allow-leak", "--json", cwd=folder)
    assert rare.returncode == 0, rare.stderr
    document = json.loads(rare.stdout)
    counts = document["class_counts"]
    assert document["synthetic_count"] == counts["weed"] - counts["rose"]
    assert document["leak_free"] is False
