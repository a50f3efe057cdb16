"""`synthgen export` as a shell sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from synthgen.cli import app
from synthgen.commands.export import Dtype, ExportFormat
from synthgen.console.boundary import run
from synthgen.export.exporting import FORMATS
from synthgen.export.weights import DTYPES

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory, one_thread
) -> Command:
    """Run the command in this process, in an empty folder: exit code, stdout, stderr."""
    from diffusers.utils import dynamic_modules_utils

    folder = tmp_path_factory.getbasetemp() / "hf-modules"
    monkeypatch.setattr(dynamic_modules_utils, "HF_MODULES_CACHE", str(folder))
    monkeypatch.chdir(tmp_path)

    def go(*words: object) -> tuple[int, str, str]:
        code = run(app, [str(word) for word in words])
        return (code, *capsys.readouterr())

    return go


def test_the_format_names_of_the_command_are_those_of_the_core() -> None:
    assert tuple(member.value for member in ExportFormat) == FORMATS
    assert tuple(member.value for member in Dtype) == tuple(DTYPES)


def test_json_says_what_was_written_and_how_well_it_agrees(command, tiny_run, tmp_path) -> None:
    code, out, err = command("export", tiny_run, "--out", "unet", "--json")
    document = json.loads(out)
    assert code == 0, err
    assert document["schema_version"] == 1
    assert document["scheduler"] == "EDMDPMSolverMultistepScheduler"
    assert document["max_difference"] <= 1
    assert document["checked_pixels"] == 512
    assert all((tmp_path / "unet" / name).is_file() for name in document["files"])
    assert (tmp_path / "unet" / "model_index.json").is_file()


def test_people_read_the_difference_and_the_next_step(command, tiny_run) -> None:
    code, out, err = command("export", tiny_run, "--format", "safetensors")
    assert code == 0, err
    assert "largest difference 0 of 255 grey levels" in out
    assert "next: synthgen sample exported --count 100" in err


def test_the_exported_file_is_a_run(command, tiny_run) -> None:
    assert command("export", tiny_run, "--format", "safetensors", "--out", "mine", "--quiet")[1] == "mine\n"
    code, out, err = command("export", "mine", "--format", "safetensors", "--out", "again", "--quiet")
    assert (code, out) == (0, "again\n"), err


def test_dry_run_writes_nothing(command, tiny_run, tmp_path) -> None:
    code, out, _ = command("export", tiny_run, "--sampler", "euler", "--steps", 9, "--dry-run", "--json")
    document = json.loads(out)
    assert code == 0
    assert (document["scheduler"], document["sampler"], document["steps"]) == ("EDMEulerScheduler", "euler", 9)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_what_diffusers_lacks_ends_with_the_reason(command, tiny_run, tmp_path, more) -> None:
    code, out, err = command("export", tiny_run, "--sampler", "heun", *more)
    assert (code, out) == (1, "")
    assert "error: diffusers has no Heun scheduler for EDM's noise levels" in err
    assert "--sampler dpm++2m" in err
    assert list(tmp_path.iterdir()) == []


def test_usage_errors(command, tiny_run, tmp_path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    for words, said in [
        (["export", tiny_run, "--out", "there"], "there exists already"),
        (["export", tiny_run, "--out", "there", "--force"], "was not made by synthgen"),
        (["export", tiny_run, "--format", "onnxx"], "onnxx"),
        (["export", tiny_run, "--steps", "0"], "1 step or more"),
        (["export", "no-such-run"], "no-such-run"),
        (["export", tiny_run, "--dtype", "fp16"], "--dtype is not for diffusers"),
        (["export", tiny_run, "--format", "onnx", "--aot"], "formats that take it: torch-export"),
        (["export", tiny_run, "--format", "hub", "--metrics", "none.json"], "cannot be read"),
        (["export", tiny_run, "--quality", "fast"], "has no sampler card"),
        (["export"], "name a RUN to export, or a set of samples"),
        (["export", tiny_run, "--data", "set"], "one of the two"),
        (["export", "--data", "set", "--steps", "3"], "--steps is for models"),
        (["export", "--data", "set"], "there is no set of samples"),
        (["export", tiny_run, "--format", "safetensors", "--dtype", "int4"], "int4"),
    ]:
        code, out, err = command(*words)
        assert (code, out) == (2, ""), words
        assert said in err
        assert "Traceback" not in err


def test_half_the_bytes_and_how_far_the_samples_are(command, tiny_run, tmp_path) -> None:
    code, out, err = command(
        "export", tiny_run, "--format", "safetensors", "--dtype", "bf16", "--out", "half", "--json"
    )
    document = json.loads(out)
    assert code == 0, err
    assert (document["dtype"], document["samples"]["unit"]) == ("bf16", "grey levels")
    assert 0 < document["max_difference"] < 60
    assert command("sample", "half", "--count", 3, "--out", "drawn", "--quiet")[:2] == (0, "drawn\n")


def test_models_of_tables_have_one_format(command, table_run, tmp_path) -> None:
    code, out, err = command("export", table_run)
    assert (code, out) == (2, "")
    assert "diffusers is a format for models of images, and this is one of tables" in err
    code, out, err = command("export", table_run, "--format", "onnx")
    assert (code, out) == (2, "")
    assert "formats for it: safetensors, hub" in err
    code, out, err = command("export", table_run, "--format", "safetensors", "--sampler", "heun")
    assert (code, out) == (2, "")
    assert "--sampler is not for models of tables" in err
    code, out, err = command("export", table_run, "--format", "safetensors")
    assert code == 0, err
    assert "0 of 640 values differ" in out


def test_samples_for_the_library_of_the_hub(command, tiny_run, tmp_path) -> None:
    pytest.importorskip("pyarrow", reason='needs pip install "synthgen[parquet]"')
    assert command("sample", tiny_run, "--count", 10, "--out", "set", "--quiet")[0] == 0
    code, out, _ = command("export", "--data", "set", "--out", "dataset", "--dry-run", "--json")
    assert (code, json.loads(out)["count"]) == (0, 10)
    assert not (tmp_path / "dataset").exists()
    code, out, err = command("export", "--data", "set", "--out", "dataset")
    assert code == 0, err
    assert "exported 10 samples to dataset" in out
    assert 'datasets.load_dataset("dataset")' in err
    assert command("sample", "verify", "dataset")[0] == 0
    assert command("export", "--data", "set", "--out", "dataset")[0] == 2
    assert command("export", "--data", "set", "--out", "dataset", "--force", "--quiet")[:2] == (0, "dataset\n")
