"""`synthgen explain` as a user runs it: streams, exit codes, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from synthgen.cli import app
from synthgen.console.boundary import run
from synthgen.explain.images.methods import METHOD_NAMES
from synthgen.rendering import png_bytes
from tests.conftest import two_corners

Cli = Callable[..., "CompletedProcess[str]"]

pytestmark = pytest.mark.usefixtures("one_thread")


def test_json_is_one_document_that_matches_the_folder(cli: Cli, tiny_run: Path, tmp_path: Path) -> None:
    done = cli(
        "explain",
        tiny_run,
        "--out",
        "why",
        "--samples",
        "3",
        "--steps",
        "2",
        "--class",
        "bottom",
        "--json",
        "--methods",
        "trajectory",
    )
    assert done.returncode == 0, done.stderr
    assert "loading torch" in done.stderr and "\x1b" not in done.stderr
    document = json.loads(done.stdout)
    assert document["schema_version"] == 1 and document["out"] == "why"
    written = json.loads((tmp_path / "why" / "summary.json").read_text())
    assert written == {key: value for key, value in document.items() if key not in ("schema_version", "out")}
    assert [sample["class_name"] for sample in written["samples"]] == ["bottom"] * 3
    page = (tmp_path / "why" / "index.html").read_text(encoding="utf-8")
    assert "--class bottom" in page and "--steps 2" in page  # the command that makes it again


def test_people_get_a_table_the_caveats_and_the_page(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["explain", str(tiny_run), "--samples", "2", "--steps", "3"]
    assert run(app, [*arguments, "--methods", "trajectory, evidence"]) == 0
    shown = capfd.readouterr()
    assert "noise level" in shown.out and "not a causal account" in shown.out
    assert "evidence, stability:" in shown.out and "Evidence is what the model learned" in shown.out
    assert "top 20 %" in shown.out and "brightness" in shown.out
    assert "why/index.html" in shown.out and "next:" in shown.err
    assert run(app, [*arguments, "--methods", "evidence", "--force", "--quiet"]) == 0
    assert capfd.readouterr() == ("why\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--class", "botom", "--methods", "evidence"], "did you mean 'bottom'"),
        (["--rival", "tap", "--methods", "evidence"], "did you mean 'top'"),
        (["--images", "no/such.png", "--methods", "evidence"], "there is no image no/such.png"),
        (["such.png"], "unexpected argument 'such.png'"),
        (["--methods", "attention"], "attention: the network has no attention layers"),
        (["--images", "taken/thesis.txt", "--methods", "trajectory"], "cannot be read as an image"),
        (["--rows", "x.csv"], "--rows is for tables and series"),
        (["--methods", "evidense"], "did you mean 'evidence'"),
        (["--methods", ","], "no method was given"),
        (["--samples", "0"], "--samples"),
        (["--sampler", "eular"], "did you mean 'euler'"),
        (["--out", "taken"], "taken exists already"),
        (["--out", "taken", "--force"], "was not made by synthgen"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_changes_nothing(
    tiny_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine")
    assert run(app, ["explain", str(tiny_run), *arguments]) == 2
    shown = capfd.readouterr()
    assert message in shown.err and shown.out == ""
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["taken", "thesis.txt"]


def test_given_images_are_explained_as_what_the_model_takes_them_for(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The shell spells a pattern out: all files but the first come without a flag."""
    images, labels = two_corners(3, seed=5)
    for number, image in enumerate(images):
        (tmp_path / f"{number}.png").write_bytes(png_bytes(image))
    monkeypatch.chdir(tmp_path)
    files = [f"{number}.png" for number in range(3)]
    assert run(app, ["explain", str(tiny_run), "--methods", "evidence", "--json", "--images", *files]) == 0
    document = json.loads(capfd.readouterr().out)
    names = ("top", "bottom")
    assert [sample["class_name"] for sample in document["samples"]] == [names[label] for label in labels]
    assert [sample["name"] for sample in document["samples"]] == files
    assert document["evidence"]["labels"][0] == "top" and all(total > 0 for total in document["evidence"]["scalars"])
    assert "--images 0.png" in (tmp_path / "why" / "index.html").read_text()


def test_a_run_that_is_not_there_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(app, ["explain", "runs/nothing"]) == 2
    assert "runs/nothing" in capfd.readouterr().err


def test_every_name_has_its_method() -> None:
    from synthgen.explain.images.run import METHODS

    assert tuple(METHODS) == METHOD_NAMES
