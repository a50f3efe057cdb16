"""`synthgen augment-classifier` as a user runs it; what it computes is tested in tests/downstream."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Cli, two_corners

pytestmark = pytest.mark.slow

QUICK = ("--steps", "40", "--batch-size", "32", "--seeds", "2", "--classifier", "logistic")


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
    for text in ("trained on", "real + classical", "real + synthetic", "real + both", "against real", "not known"):
        assert text in done.stdout
    assert "Adding the synthetic images" in done.stdout
    assert "On top of classical augmentation" in done.stdout
    assert "The best of 3 variants with synthetic images" in done.stdout
    assert "has no test images: a fifth of it is cut off" in done.stderr
    assert "warning: it is not known which images the generator was trained on" in done.stderr
    page = (tmp_path / "r" / "report.html").read_text()
    assert "recall of every class" in page and "Calibration error" in page and "confusion" in page
    assert (tmp_path / "r" / "augmentation.json").is_file()
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
    assert document["verdict_against_classical"] in ("helps", "no difference", "hurts")
    counts = {name: one["images"] for name, one in document["variants"].items()}
    assert counts == {"real": 60, "real_classical": 60, "synthetic": 200, "both": 260, "both_classical": 260}
    assert document["test_count"] == 200
    assert np.array(document["variants"]["both"]["confusion"]).sum() == 2 * 200
    # Tested on the very images that it was trained on: the command must notice.
    assert any("200 of the synthetic images are exact copies of test images" in text for text in document["warnings"])


def test_a_run_that_saw_more_is_refused_and_an_allowed_leak_is_red(
    cli: Cli, corners_npz: Path, made: Path, tiny_run: Path, tmp_path: Path
) -> None:
    call = ("augment-classifier", "--real", corners_npz, "--test", made, "--synthetic", tiny_run, "--count", 32)
    refused = cli(*call, "--real-size", 60, *QUICK)
    assert refused.returncode == 2 and refused.stdout == ""
    assert "error: leak: the generator was trained on 256 real images, the classifier has 60" in refused.stderr
    assert "--allow-leak" in refused.stderr and "drawing" not in refused.stderr
    allowed = cli(*(*call, "--real-size", 60, *QUICK, "--allow-leak"), *("--out", tmp_path / "r", "--color", "always"))
    assert allowed.returncode == 0, allowed.stderr
    assert re.search("\x1b\\[[0-9;]*31m.*NOT LEAK-FREE: the generator was trained on 256", allowed.stdout)
    assert '<p class="notice bad">NOT LEAK-FREE' in (tmp_path / "r" / "report.html").read_text()


def test_mistakes_get_one_clear_error(cli: Cli, corners_npz: Path, made: Path) -> None:
    both = ("--real", corners_npz, "--synthetic", made)
    for arguments, said in (
        ((*both, "--seeds", "0"), "--seeds"),
        ((*both, "--resume"), "--resume needs --out"),
        ((*both, "--filter", "nearst"), "no 'nearst' (did you mean 'nearest'?)"),
        (("--real", corners_npz), "nothing to augment with"),
    ):
        done = cli("augment-classifier", *arguments)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert done.stdout == "" and "Traceback" not in done.stderr
