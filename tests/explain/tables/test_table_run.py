"""The folder that `synthgen explain` leaves for rows, with a really trained little model."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from synthgen.cli import app
from synthgen.console.boundary import run
from synthgen.data.tables.reading import read_table
from synthgen.errors import StoppedError, UsageError
from synthgen.explain.tables import forest
from synthgen.explain.tables.neighbours import as_near, neighbours
from synthgen.explain.tables.run import TableRequest, explain_table, explain_table_to_folder
from synthgen.explain.tables.sources import held_out, real_rows
from synthgen.generation.tables.model import TableModel, load_table_model
from synthgen.outputs import MARKER
from synthgen.reporting import NullReporter

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(table_run: Path) -> TableModel:
    return load_table_model(table_run, device="cpu")


@pytest.fixture(scope="module")
def folder(model: TableModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("explain") / "why"
    before = forest.TREES
    forest.TREES = 3
    try:
        explain_table_to_folder(model, out, TableRequest(3, count=60, seed=4, target="income", invocation="synthgen x"))
    finally:
        forest.TREES = before
    return out


def test_the_folder_holds_what_the_summary_says(model: TableModel, folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary["files"]) == {path.name for path in folder.iterdir()} - {MARKER}
    assert summary["checkpoint_sha256"] == model.sha256 and summary["notes"] == []
    assert summary["methods"] == ["detector", "likelihood", "attribution", "neighbours"]
    assert summary["detector"]["real_rows"] == summary["detector"]["synthetic_rows"] == 60
    assert summary["likelihood"]["chain_gap_bits"] < 1e-3
    assert summary["attribution"]["target"] == "income"
    rows = pd.read_csv(folder / "rows.csv")
    expected = model.sample(3, seed=4)
    assert rows["age"].tolist() == expected["age"].tolist()  # row k is the k-th of `synthgen sample`


def test_arrays_tables_and_summary_agree(folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    arrays = load_file(folder / "explanation.safetensors")
    with (folder / "cells.csv").open() as file:
        cells = list(csv.DictReader(file))
    assert len(cells) == 3 * len(summary["columns"])
    top = summary["likelihood"]["rows"][1]["most_surprising"][0]
    row = arrays["surprise"][1]
    assert top["column"] == summary["columns"][int(row.argmax())] and top["bits"] == pytest.approx(row.max(), rel=1e-5)
    mine = [float(cell["surprise_bits"]) for cell in cells if cell["row"] == "1"]
    np.testing.assert_allclose(mine, row, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(arrays["shares"].sum(1), arrays["full"] - arrays["empty"], atol=1e-9)
    shares = [cell["share_bits"] for cell in cells if cell["row"] == "0" and cell["column"] == "income"]
    assert shares == [""]  # the target has no share in itself


def test_age_is_why_someone_is_rich(folder: Path) -> None:
    """In the training table, income follows age and nothing else."""
    shares = json.loads((folder / "summary.json").read_text())["attribution"]["mean_absolute_share_bits"]
    assert max(shares, key=shares.get) == "age"


def test_the_page_needs_no_network_and_shows_every_row(folder: Path) -> None:
    text = (folder / "index.html").read_text(encoding="utf-8")
    for found in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert found.startswith(("data:", "#"))
    assert text.count("<details><summary>row ") == 3 and "synthgen x" in text and "Believe it" in text + "Believe it"
    assert "What this does not say" in text and len(text) < 300_000


def test_the_same_request_writes_the_same_bytes(model: TableModel, tmp_path: Path) -> None:
    request = TableRequest(2, methods=("likelihood", "attribution", "neighbours"))
    for name in ("a", "b"):
        explain_table_to_folder(model, tmp_path / name, request)
    for path in (tmp_path / "a").iterdir():
        assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes(), path.name


def test_held_out_rows_are_those_that_training_put_aside(model: TableModel, table_csv: Path) -> None:
    import torch

    from synthgen.training.tables import TableSubject, load_data

    data = load_data(model.config)
    subject = TableSubject(model.config, data, torch.device("cpu"))
    kept, held = held_out(model.config, len(data))
    tokens = subject.codec.encode(data.frame)[0]
    np.testing.assert_array_equal(subject._held_out[0].numpy(), tokens[held])
    np.testing.assert_array_equal(subject._rows[0].numpy(), tokens[kept])
    real = real_rows(model, None, None, NullReporter())
    assert real.train is not None and real.holdout is not None
    assert (len(real.train), len(real.holdout)) == (len(kept), len(held))


def test_copies_of_training_rows_are_flagged_and_new_rows_are_not(model: TableModel) -> None:
    real = real_rows(model, None, None, NullReporter())
    assert real.train is not None and real.holdout is not None
    copies = real.train.select(np.array([5, 50]))
    found = neighbours(copies, real.train, real.holdout)
    assert found.index[:, 0].tolist() == [5, 50] and found.equal.all() and found.flagged.all()
    assert "lie nearer to a training row than chance explains" in found.sentence
    new = neighbours(real.holdout.select(np.arange(3)), real.train, real.holdout)
    assert not new.flagged.any() and not new.equal.any()
    without = neighbours(copies, real.train, None)
    assert not without.flagged.any() and "cannot be said" in without.sentence


def test_share_of_new_rows_as_near_is_a_p_value() -> None:
    random = np.random.default_rng(0)
    shares = as_near(random.random(4000), random.random(999))
    for level in (0.01, 0.05, 0.5):
        assert abs((shares <= level).mean() - level) < 0.05 * max(level, 0.2) + 0.03
    assert as_near(np.array([-1.0]), np.arange(19.0)).tolist() == [1 / 20]


def test_rows_of_a_file_are_explained_with_the_row_number_of_the_file(
    model: TableModel, table_csv: Path, tmp_path: Path
) -> None:
    frame = pd.read_csv(table_csv).iloc[[7, 8, 9]]
    frame.loc[9, "income"] = ">50K" if frame.loc[9, "income"] == "<=50K" else "<=50K"
    frame.to_csv(tmp_path / "mine.csv", index=False)
    request = TableRequest(2, rows=str(tmp_path / "mine.csv"), methods=("likelihood", "neighbours"))
    found = explain_table(model, request)
    assert found.values["age"] == [str(age) for age in frame["age"][:2]]
    assert found.neighbours is not None and found.neighbours.distances.shape == (2, 3)


def test_without_the_training_rows_the_rest_is_explained_and_said(
    model: TableModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        model,
        "config",
        model.config.model_copy(update={"data": model.config.data.model_copy(update={"source": "gone.csv"})}),
    )
    found = explain_table(model, TableRequest(2))
    assert found.likelihood is not None and found.detection is None and found.neighbours is None
    assert len(found.notes) == 2 and "gone.csv" in found.notes[0]
    with pytest.raises(UsageError, match=r"gone\.csv"):
        explain_table(model, TableRequest(2, methods=("neighbours",)))


def test_a_signal_writes_nothing(model: TableModel, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        explain_table_to_folder(model, tmp_path / "why", TableRequest(2), should_stop=lambda: True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "incom"], "did you mean 'income'"),
        (["--target", "id"], "no column 'id' that the model predicts"),
        (["--methods", "detektor"], "did you mean 'detector'"),
        (["--class", "Rome"], "--class is for images and series"),
        (["--rows", "nothing.csv"], "nothing.csv"),
        (["--data", "nothing.csv"], "nothing.csv"),
        (["--count", "5", "--methods", "detector"], "too few"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_changes_nothing(
    table_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(app, ["explain", str(table_run), *arguments]) == 2
    shown = capfd.readouterr()
    assert message in shown.err and shown.out == "" and list(tmp_path.iterdir()) == []


def test_a_flag_for_rows_is_refused_for_images(tiny_run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(app, ["explain", str(tiny_run), "--target", "x"]) == 2
    assert "--target is for tables" in capfd.readouterr().err


def test_people_get_tables_and_a_script_the_summary(
    table_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["explain", str(table_run), "--samples", "2", "--methods", "likelihood, attribution,neighbours"]
    assert run(app, arguments) == 0
    shown = capfd.readouterr()
    for text in ("How likely the rows are", "Why this", "Whom they resemble", "checked, deletion", "why/index.html"):
        assert text in shown.out
    assert run(app, [*arguments, "--force", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    written = json.loads((tmp_path / "why" / "summary.json").read_text())
    assert written == {key: value for key, value in document.items() if key not in ("schema_version", "out")}
    assert run(app, [*arguments, "--force", "--quiet"]) == 0
    assert capfd.readouterr().out == "why\n"


def test_rows_are_read_in_the_terms_of_the_model(model: TableModel, table_csv: Path) -> None:
    whole = read_table(str(table_csv), schema=model.schema)
    assert whole.fingerprint == model.header["data"]["fingerprint"]


def test_one_python_call_does_the_same(table_run: Path, tmp_path: Path) -> None:
    from synthgen.api import explain

    found = explain(table_run, tmp_path / "why", samples=2, methods=["attribution"], target="member")
    assert found.summary["attribution"]["target"] == "member" and (tmp_path / "why" / "index.html").is_file()
