"""`synthgen evaluate` on tables as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.evaluation.tables.mixed import mixed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, count, seed in (("real", 200, 1), ("test", 120, 2), ("fake", 200, 3)):
        mixed(count, seed).to_csv(folder / f"{name}.csv", index=False)
    return folder


def test_a_person_reads_figures_floors_and_sentences(cli: Cli, files: Path, tmp_path: Path) -> None:
    common = (
        "evaluate",
        "--real",
        files / "real.csv",
        "--fake",
        files / "fake.csv",
        "--metrics",
        "shape,trend,variety",
    )
    done = cli(*common, "--test", files / "test.csv", "--out", tmp_path / "report", env={"COLUMNS": "120"})
    assert done.returncode == 0, done.stderr
    for text in ("shape error", "trend error, fixed bins", "held out", "SMOTE", "repeated rows", "report:"):
        assert text in done.stdout
    assert "next: synthgen augment-classifier --real" in done.stderr
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "--test" in page and "http" not in page.replace("http-equiv", "")
    again = cli(*common, "--out", tmp_path / "report")
    assert again.returncode == 2 and "exists already" in again.stderr


def test_a_script_reads_one_document_and_gates_end_with_3(cli: Cli, files: Path) -> None:
    done = cli(
        *("evaluate", "--real", files / "real.csv", "--fake", files / "fake.csv", "--metrics", "shape"),
        *("--fail-if", "shape>0.01%", "--json"),
    )
    assert done.returncode == 3, done.stderr
    document = json.loads(done.stdout)
    assert document["schema_version"] == 1 and document["modality"] == "tables"
    assert document["gates"][0]["passed"] is False
    assert "a quality gate was not met: shape>0.01% fails" in done.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--features", "inception"), "--features is for images; --real names a table"),
        (("--holdout", "test"), "--holdout is for images; --real names a table"),
        (("--target", "nobody"), "has no column 'nobody' to predict"),
    ],
)
def test_flags_that_say_nothing_here_are_refused(cli: Cli, files: Path, flags: tuple[str, ...], message: str) -> None:
    done = cli("evaluate", "--real", files / "real.csv", "--fake", files / "fake.csv", *flags)
    assert done.returncode == 2 and message in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_flags_of_tables_are_refused_for_images(cli: Cli, files: Path) -> None:
    done = cli("evaluate", "--real", "mnist-mini", "--fake", "mnist-mini", "--target", "label")
    assert done.returncode == 2 and "--target is for tables; --real names images" in done.stderr.replace("\n", " ")
