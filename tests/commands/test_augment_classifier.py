"""`synthgen augment-classifier` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Cli, two_corners

pytestmark = pytest.mark.slow

QUICK = ("--steps", "20", "--seeds", "2")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of the same kind as `corners_npz`, from nowhere known."""
    images, labels = two_corners(200, seed=8)
    path = tmp_path_factory.mktemp("made") / "made.npz"
    np.savez(path, images=images, labels=labels, class_names=np.array(["top", "bottom"]))
    return path


def test_a_person_reads_accuracies_differences_and_the_verdict(
    cli: Cli, corners_npz: Path, made: Path, tmp_path: Path
) -> None:
    done = cli("augment-classifier", "--real", corners_npz, "--synthetic", made, *QUICK, "--out", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    for text in ("trained on", "real", "synthetic", "both", "against real (95 %)", "Leak check: it is not known"):
        assert text in done.stdout
    assert "Adding the synthetic images" in done.stdout
    assert "has no test images: a fifth of it is cut off" in done.stderr
    assert "warning: it is not known which images the generator was trained on" in done.stderr
    assert (tmp_path / "r" / "report.html").is_file() and (tmp_path / "r" / "augmentation.json").is_file()
    again = cli("augment-classifier", "--real", corners_npz, "--synthetic", made, *QUICK, "--out", tmp_path / "r")
    assert again.returncode == 2 and "exists already" in again.stderr


def test_a_script_reads_one_document(cli: Cli, corners_npz: Path, made: Path) -> None:
    done = cli(
        *("augment-classifier", "--real", corners_npz, "--synthetic", made, "--test", made, "--real-size", 60),
        *(*QUICK, "--json"),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema_version"] == 1 and document["kind"] == "synthgen-augmentation"
    assert document["verdict"] in ("helps", "no difference", "hurts")
    assert {name: one["images"] for name, one in document["variants"].items()} == {
        "real": 60,
        "synthetic": 200,
        "both": 260,
    }
    assert document["test_count"] == 200
    assert [one["variant"] for one in document["comparisons"]] == ["synthetic", "both"]
    # Tested on the very images that it was trained on: the command must notice.
    assert any("200 of the synthetic images are exact copies of test images" in text for text in document["warnings"])


def test_a_run_that_saw_the_test_images_is_caught(cli: Cli, corners_npz: Path, tiny_run: Path) -> None:
    """The run was trained on all of the file, of which a fifth is cut off for the test."""
    done = cli(
        *("augment-classifier", "--real", corners_npz, "--synthetic", tiny_run, "--count", 32),
        *("--steps", 5, "--seeds", 1, "--json"),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["leak"]["status"] == "test"
    assert document["sentence"].startswith("Void:")
    assert document["leak"]["generator"]["count"] == 256


def test_samples_on_disk_bring_their_provenance(
    cli: Cli, corners_npz: Path, made: Path, tiny_run: Path, tmp_path: Path
) -> None:
    assert cli("sample", tiny_run, "--count", 40, "--out", tmp_path / "s").returncode == 0
    done = cli(
        *("augment-classifier", "--real", corners_npz, "--synthetic", tmp_path / "s", "--test", made),
        *("--real-size", 60, "--steps", 5, "--seeds", 1, "--json"),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["leak"]["status"] == "more"
    assert "trained on 256 real images, the classifier has 60" in document["leak"]["message"]
    assert document["synthetic_count"] == 40


def test_quiet_is_the_verdict(cli: Cli, corners_npz: Path, made: Path) -> None:
    done = cli("augment-classifier", "--real", corners_npz, "--synthetic", made, *QUICK, "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("helps", "no difference", "hurts")


def test_mistakes_get_one_clear_error(cli: Cli, corners_npz: Path, made: Path, tiny_run: Path, tmp_path: Path) -> None:
    images, _ = two_corners(20)
    np.savez(tmp_path / "bare.npz", images=images)
    for arguments, said in (
        (
            ("--real", corners_npz, "--synthetic", made, "--real-size", "1000"),
            "205 images to train on, and 1,000 were asked for",
        ),
        (("--real", tmp_path / "bare.npz", "--synthetic", made), "has no labels"),
        (("--real", corners_npz, "--synthetic", tmp_path / "bare.npz"), "has no labels"),
        (("--real", tiny_run, "--synthetic", made), "is a model, not images"),
        (("--real", corners_npz, "--synthetic", made, "--seeds", "0"), "--seeds"),
    ):
        done = cli("augment-classifier", *arguments)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert done.stdout == "" and "Traceback" not in done.stderr
