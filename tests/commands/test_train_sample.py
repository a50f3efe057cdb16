"""`synthgen train` and `synthgen sample` as a shell sees them."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthgen.checkpoints import load_checkpoint
from synthgen.commands.resuming import resume_command
from synthgen.commands.sample_choices import Sampler
from synthgen.diffusion.samplers import SAMPLERS
from synthgen.runs import list_checkpoints
from tests.conftest import TINY, Cli, interrupted

SETTINGS = [word for setting in TINY for word in ("--set", setting)]


def test_the_sampler_names_of_the_command_are_those_of_the_core() -> None:
    assert tuple(sampler.value for sampler in Sampler) == SAMPLERS


def test_the_resume_command_can_be_pasted() -> None:
    words = ["train", "--data", "my images", "--out", "r", "--force"]
    assert resume_command(words) == "synthgen train --data 'my images' --out r --resume"
    assert resume_command(["sample", "r", "--resume"]).count("--resume") == 1


def test_train_then_sample(cli: Cli, corners_npz: Path, tmp_path: Path) -> None:
    trained = cli("train", corners_npz, "--steps", 20, *SETTINGS, "--json")
    assert trained.returncode == 0, trained.stderr
    document = json.loads(trained.stdout)
    assert document["run"] == "runs/corners" and document["steps"] == 20
    assert "\x1b" not in trained.stderr and "training: 20/20 steps" in trained.stderr
    sampled = cli("sample", "corners", "--count", 5, "--class", "bottom", "--steps", 2, "--quiet")
    assert (sampled.returncode, sampled.stdout, sampled.stderr) == (0, "synthetic\n", "")
    assert len(list((tmp_path / "synthetic" / "bottom").glob("*.png"))) == 5
    again = cli("sample", "corners", "--count", 5)
    assert again.returncode == 2 and "synthetic exists already" in again.stderr


def test_an_unreadable_image_is_named_and_skipped_only_on_request(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "mixed" / "only"
    folder.mkdir(parents=True)
    for index in range(9):
        pixels = np.random.default_rng(index).integers(0, 256, (16, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    whole = (folder / "4.png").read_bytes()
    (folder / "4.png").write_bytes(whole[: len(whole) // 2])
    refused = cli("train", "--data", "mixed", "--steps", 2, *SETTINGS)
    assert refused.returncode == 2 and "4.png" in refused.stderr and "--max-bad" in refused.stderr
    assert not (tmp_path / "runs").exists()
    done = cli("train", "--data", "mixed", "--steps", 2, "--max-bad", 1, *SETTINGS)
    assert done.returncode == 0 and "4.png" in done.stderr


def test_dry_runs_leave_nothing(cli: Cli, corners_npz: Path, tiny_run: Path, tmp_path: Path) -> None:
    trained = cli("train", "--data", corners_npz, "--dry-run", *SETTINGS, "--json")
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["plan"]["classes"] == 2
    sampled = cli("sample", tiny_run, "--count", 60_000, "--dry-run")
    assert sampled.returncode == 0 and "60,000" in sampled.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["sample", "RUN", "--count", "0"], 2, "--count must be 1 or more"),
        (["sample", "RUN", "--class", "botom"], 2, "did you mean 'bottom'"),
        (["sample", "RUN", "--steps", "0"], 2, "needs 1 step"),
        (["sample", "RUN", "--sampler", "dpm"], 2, "dpm"),
        (["sample", "RUN", "--device", "tpu9"], 2, "unknown device 'tpu9'"),
        (["sample", "no-such-run"], 2, "no run or checkpoint 'no-such-run'"),
        (["train", "mnst"], 2, "did you mean 'mnist'"),
        (["train", "--data", "no-such-folder"], 2, "no-such-folder"),
        (["train"], 2, "nothing to train on"),
        (["train", "mnist", "--budget", "5 days"], 2, "not a duration"),
        (["train", "mnist", "--steps", "5", "--epochs", "1"], 2, "one of"),
    ],
)
def test_wrong_requests_get_one_clear_error(
    cli: Cli, tiny_run: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    done = cli(*[str(tiny_run) if word == "RUN" else word for word in arguments])
    assert done.returncode == code, done.stderr
    assert message in done.stderr and done.stderr.count("error:") >= 1
    assert "Traceback" not in done.stderr and done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_damaged_and_foreign_checkpoints_are_refused(cli: Cli, tiny_run: Path, tmp_path: Path) -> None:
    good = list_checkpoints(tiny_run)[0]
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(good.read_bytes()[:2000])
    state = list_checkpoints(tiny_run, "state")[0]
    for path, message in ((cut, "damaged"), (state, "kind 'state'")):
        done = cli("sample", path, "--out", tmp_path / "out")
        assert done.returncode == 1 and message in done.stderr and path.name in done.stderr
        assert not (tmp_path / "out").exists()


def test_interrupted_training_is_whole_and_resumes_to_the_same_weights(
    cli: Cli, corners_npz: Path, tmp_path: Path
) -> None:
    steps = ["--steps", "400"]
    cli("train", corners_npz, *steps, *SETTINGS, "--out", "whole")
    arguments = ["train", str(corners_npz), *steps, *SETTINGS, "--out", "cut"]
    code, out, err = interrupted(arguments, tmp_path, "training: 0/400", signal.SIGINT)
    assert (code, out) == (130, ""), err
    assert "--resume" in err and "stopped: at step" in err and "Traceback" not in err
    for path in [*list_checkpoints(tmp_path / "cut"), *list_checkpoints(tmp_path / "cut", "state")]:
        load_checkpoint(path, kind="model" if path.name.startswith("step") else "state")
    assert cli(*arguments, "--resume").returncode == 0
    whole, cut = (load_checkpoint(list_checkpoints(tmp_path / run)[0])[1] for run in ("whole", "cut"))
    assert all((whole[name] == cut[name]).all() for name in whole)


def test_terminated_sampling_is_whole_and_resumes(cli: Cli, tiny_run: Path, tmp_path: Path) -> None:
    arguments = ["sample", str(tiny_run), "--count", "6000", "--format", "npz", "--out", "cut"]
    code, out, err = interrupted(arguments, tmp_path, "sampling: 0/6,000", signal.SIGTERM)
    assert (code, out) == (143, ""), err
    assert "--resume" in err and not (tmp_path / "cut" / "samples.npz").exists()
    assert cli(*arguments, "--resume").returncode == 0
    assert cli(*[*arguments[:-1], "whole"]).returncode == 0
    with np.load(tmp_path / "cut" / "samples.npz") as cut, np.load(tmp_path / "whole" / "samples.npz") as whole:
        np.testing.assert_array_equal(cut["images"], whole["images"])
