"""Runs on tables: the rows that are learned, resumption to the bit, patience, a checkpoint that explains itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import synthgen
from synthgen.checkpoints import load_checkpoint, read_header
from synthgen.config.loading import load_config
from synthgen.config.tables import TableConfig
from synthgen.data.tables.reading import read_table
from synthgen.errors import StoppedError, UsageError
from synthgen.generation.tables.model import TableModel
from synthgen.reporting import NullReporter
from synthgen.runs import list_checkpoints
from synthgen.training.choosing import choose_settings
from synthgen.training.metrics import read_metrics
from synthgen.training.run import describe_plan, train
from synthgen.training.tables import TableSubject, load_data
from tests.conftest import TINY_TABLE, people

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


def config(source: Path, *overrides: str, steps: int = 12) -> TableConfig:
    flags = {"data.source": str(source), "training.steps": steps}
    found = load_config(None, [*TINY_TABLE, *overrides], flags)
    assert isinstance(found, TableConfig)
    return found


class Stop:
    """Asks to stop after so many looks."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0


def weights(run: Path, kind: str) -> dict[str, torch.Tensor]:
    return load_checkpoint(list_checkpoints(run, kind)[0], kind=kind)[1]


def untrained_loss(settings: TableConfig) -> float:
    """Of the first batch; where training begins."""
    data = load_data(settings)
    subject = TableSubject(settings.for_rows(len(data)), data, CPU)
    draws = subject.draw(subject.batches()(0), 0, 0.0)
    return float(subject.loss(subject.denoiser.eval(), *draws.parts).mean().detach())


def trained_loss(run: Path) -> float:
    """The mean loss of the last second. A fast machine's log has but one row."""
    return float(read_header(list_checkpoints(run)[0])["training"]["loss"])


def test_a_table_chooses_its_own_preset(table_csv: Path) -> None:
    name, found = choose_settings(str(table_csv))
    assert name == "people" and isinstance(found, TableConfig) and found.data.source == str(table_csv)
    assert choose_settings("adult").config.data.source == "adult"


def test_a_run_folder_explains_itself(table_run: Path, table_csv: Path) -> None:
    header = read_header(list_checkpoints(table_run)[0])
    assert header["modality"] == "tables" and header["data"]["fingerprint"] == read_table(table_csv).fingerprint
    assert header["data"]["count"] == 600 and header["training"]["rows_seen"] == 200 * 75
    assert [column["name"] for column in header["schema"]["columns"]] == list(pd.read_csv(table_csv).columns)
    rows = read_metrics(table_run / "metrics.jsonl")
    assert rows[-1]["step"] == 200 and trained_loss(table_run) < untrained_loss(config(table_csv))
    preview = pd.read_csv(table_run / "previews" / "step-00000200.csv")
    assert list(preview.columns) == list(pd.read_csv(table_csv).columns) and len(preview) == 10


@pytest.mark.parametrize("patience", [0, 3])
@pytest.mark.parametrize("stop_at", [1, 53])
def test_stopped_and_resumed_equals_uninterrupted(table_csv: Path, tmp_path: Path, stop_at: int, patience: int) -> None:
    overrides = ["model.dropout=0.1", "training.validation=0.2", f"training.patience={patience}"]
    settings = config(table_csv, *overrides, steps=110)
    train(settings, tmp_path / "whole", device="cpu")
    with pytest.raises(StoppedError, match=f"step {stop_at}"):
        train(settings, tmp_path / "cut", device="cpu", data=load_data(settings), should_stop=Stop(stop_at))
    train(settings, tmp_path / "cut", device="cpu", resume=True)
    for kind in ("model", "state"):
        whole, cut = weights(tmp_path / "whole", kind), weights(tmp_path / "cut", kind)
        assert whole.keys() == cut.keys()
        for name in whole:
            assert torch.equal(whole[name], cut[name]), (kind, name)


def test_rows_held_out_are_never_trained_on(table_csv: Path) -> None:
    settings = config(table_csv, "training.validation=0.25")
    subject = TableSubject(settings, load_data(settings), CPU)
    assert len(subject) == 450 and subject.facts["held_out"] == 150
    seen = {tuple(row) for row in subject._rows[0].tolist()}
    held = {tuple(row) for row in subject._held_out[0].tolist()}
    tokens, _ = subject.codec.encode(load_data(settings).frame)
    assert seen | held == {tuple(row) for row in tokens.tolist()}
    assert len(seen & held) < 5  # two people may be alike


def test_patience_ends_a_run_that_learns_by_heart(table_csv: Path, tmp_path: Path) -> None:
    said: list[str] = []

    class Says(NullReporter):
        def info(self, message: str) -> None:
            said.append(message)

    few = ["data.limit=60", "training.validation=0.5", "training.patience=2", "model.width=128"]
    result = train(config(table_csv, *few, steps=2000), tmp_path / "run", device="cpu", reporter=Says())
    assert result.steps < 2000
    facts = read_header(list_checkpoints(tmp_path / "run")[0])["training"]
    assert facts["best_step"] == result.steps - 100 and any("has not improved for 2 checks" in text for text in said)


def test_batches_hold_the_rows_they_name(table_csv: Path) -> None:
    settings = config(table_csv, "training.validation=0")
    data = load_data(settings)
    subject = TableSubject(settings, data, CPU)
    batches = subject.batches()
    tokens, fractions = subject.codec.encode(data.frame)
    for step in (0, 1, 5):
        batch, index = batches(step), batches.indices(step)
        assert np.array_equal(batch.tokens.numpy(), tokens[index])
        assert np.allclose(batch.fractions.numpy(), fractions[index], atol=1e-3)
        part = batches(step, slice(3, 9))
        assert torch.equal(part.tokens, batch.tokens[3:9])
    whole, part = subject.draw(batches(2), 2, 0.0), subject.draw(batches(2, slice(5, 20)), 2, 0.0)
    for one, other in zip(whole.parts, part.parts, strict=True):
        assert one is not None and other is not None and torch.equal(one[5:20], other)


def test_the_gaussian_process_trains_too(table_csv: Path, tmp_path: Path) -> None:
    settings = config(table_csv, "diffusion.process=gaussian", steps=60)
    train(settings, tmp_path / "run", device="cpu")
    assert trained_loss(tmp_path / "run") < untrained_loss(settings)


def test_a_data_frame_is_learned_like_its_file(table_csv: Path, tmp_path: Path) -> None:
    settings = {"model.width": 32, "model.blocks": 1, "training.precision": "fp32", "data.bins": 16}
    model = synthgen.train(data=people(), out=tmp_path / "frame", steps=3, settings=settings, device="cpu")
    from_file = synthgen.train(table_csv, tmp_path / "file", steps=3, settings=settings, device="cpu")
    assert isinstance(model, TableModel) and isinstance(from_file, TableModel)
    drawn = model.sample(20, seed=1)
    assert dict(drawn.dtypes) == dict(people().dtypes)  # the file has its dates as text
    assert drawn["age"].tolist() == from_file.sample(20, seed=1)["age"].tolist()
    with pytest.raises(UsageError, match="configuration is one of images"):
        synthgen.train(data=people(), config="mnist", out=tmp_path / "other")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "nothing to learn"),
        ("id,planet\n" + "".join(f"x{n},Earth\n" for n in range(50)), "no column of"),
    ],
)
def test_tables_with_nothing_to_learn_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    settings: Any = config(path, "data.constraints=[]")
    with pytest.raises(UsageError, match=message):
        describe_plan(settings, load_data(settings))
