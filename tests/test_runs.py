"""What RUN means on a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthgen.errors import UsageError
from synthgen.runs import checkpoint_path, list_checkpoints, modality_of, prune_checkpoints, resolve_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for step in (90, 1200, 100):
        for kind in ("model", "state"):
            path = checkpoint_path(Path("runs/mnist"), step, kind)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return Path("runs/mnist")


def test_a_folder_means_its_newest_checkpoint(run: Path) -> None:
    assert resolve_run(run) == checkpoint_path(run, 1200)


def test_a_bare_name_is_looked_up_in_runs(run: Path) -> None:
    assert resolve_run("mnist") == checkpoint_path(run, 1200)


def test_a_file_means_itself(run: Path) -> None:
    assert resolve_run(checkpoint_path(run, 90)) == checkpoint_path(run, 90)


def test_a_typo_names_the_nearest_run(run: Path) -> None:
    with pytest.raises(UsageError, match=r"did you mean '(runs/)?mnist'"):
        resolve_run("mnits")


def test_a_folder_without_checkpoints_says_so(run: Path) -> None:
    Path("empty").mkdir()
    with pytest.raises(UsageError, match="holds no checkpoint"):
        resolve_run("empty")


def test_pruning_keeps_the_newest_of_each_kind(run: Path) -> None:
    prune_checkpoints(run, 2)
    for kind in ("model", "state"):
        assert list_checkpoints(run, kind) == [checkpoint_path(run, 1200, kind), checkpoint_path(run, 100, kind)]


def test_steps_are_compared_as_numbers(run: Path) -> None:
    path = checkpoint_path(run, 123_456_789)
    path.touch()
    assert resolve_run(run) == path


@pytest.mark.parametrize("modality", ["images", "tables"])
def test_what_a_checkpoint_is_a_model_of(tmp_path: Path, modality: str) -> None:
    import torch

    from synthgen.checkpoints import save_checkpoint

    path = tmp_path / "model.safetensors"
    save_checkpoint(path, {"w": torch.zeros(2)}, {"kind": "model", "modality": modality})
    assert modality_of(path) == modality


def test_what_says_nothing_is_taken_for_images(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for data in (b"", b"\xff" * 30, b"\x02" + bytes(7) + b"[]", b"\x10" + bytes(7) + b'{"__metadata__":1}'):
        path.write_bytes(data)
        assert modality_of(path) == "images"
    assert modality_of(tmp_path / "nothing") == "images"


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    models = {
        "mnist": tmp_path / "package" / "mnist.safetensors",
        "fashion": tmp_path / "package" / "fashion.safetensors",
    }
    monkeypatch.setattr("synthgen.runs.bundled_models", lambda: models)
    return models


def test_a_run_of_the_user_comes_before_a_bundled_model(run: Path, bundled: dict[str, Path]) -> None:
    assert resolve_run("mnist") == checkpoint_path(run, 1200)
    assert resolve_run("bundled:mnist") == bundled["mnist"]
    assert resolve_run("fashion") == bundled["fashion"]


def test_a_folder_that_is_no_run_is_not_taken_for_a_bundled_model(run: Path, bundled: dict[str, Path]) -> None:
    Path("fashion").mkdir()
    with pytest.raises(UsageError, match="holds no checkpoint") as caught:
        resolve_run("fashion")
    assert "bundled:fashion" in str(caught.value.hint)


def test_an_unknown_bundled_model_names_the_nearest(bundled: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="did you mean 'fashion'"):
        resolve_run("bundled:fashon")
