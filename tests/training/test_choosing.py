"""What a request to train means."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthgen.config.loading import dump_config, load_config
from synthgen.errors import UsageError
from synthgen.training.choosing import GENERIC, choose_settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pets").mkdir()
    (tmp_path / "mine.yaml").write_text("data:\n  source: pets\ntraining:\n  steps: 7\n")
    return tmp_path


def test_a_preset(folder: Path) -> None:
    assert choose_settings("mnist") == ("mnist", load_config("mnist"))


def test_a_config_file_either_way(folder: Path) -> None:
    assert choose_settings("mine.yaml").config.training.steps == 7
    assert choose_settings(config="mine.yaml") == choose_settings("mine.yaml")


def test_data_takes_the_generic_preset(folder: Path) -> None:
    name, config = choose_settings("pets", flags={"training.steps": 3})
    assert name == "pets" and config.data.source == "pets" and config.training.steps == 3
    assert config.model == load_config(GENERIC["images"]).model
    assert choose_settings(flags={"data.source": "pets"}).config.model == config.model


def test_a_known_set_has_its_own_preset(folder: Path) -> None:
    assert choose_settings(flags={"data.source": "mnist"}).config == load_config("mnist")


def test_a_resumed_run_brings_its_config(folder: Path) -> None:
    run = folder / "runs" / "old"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(dump_config(load_config("mine.yaml")))
    assert choose_settings(resumed=run).config == load_config("mine.yaml")
    assert choose_settings(resumed=run, flags={"training.steps": 9}).config.training.steps == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"what": "mnst"}, "did you mean 'mnist'"),
        ({"what": "mnist", "config": "mine.yaml"}, "give one of them"),
        ({"what": "pets", "flags": {"data.source": "pets"}}, "give one of them"),
        ({}, "nothing to train on"),
    ],
)
def test_what_cannot_be_is_refused(folder: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choose_settings(**arguments)  # type: ignore[arg-type]
