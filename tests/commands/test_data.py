"""`synthgen data` as a shell sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthgen.cli import app
from synthgen.console.boundary import run
from synthgen.data import load_images
from tests.conftest import Cli

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command in this process, in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run_here(*words: object) -> tuple[int, str, str]:
        code = run(app, [str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_here


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes with three pictures each, one of them twice, one file broken, one that is no image."""
    root = tmp_path / "pictures"
    generator = np.random.default_rng(0)
    for number in range(6):
        path = root / ("cat" if number < 3 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (20 + number, 24, 3), dtype=np.uint8)).save(path)
    (root / "dog" / "again.png").write_bytes((root / "dog" / "5.png").read_bytes())
    (root / "dog" / "broken.png").write_text("no image")
    (root / "notes.txt").write_text("hello")
    return root


def test_list_says_what_is_where(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("synthgen.data.locations.checkout_data", lambda: None)
    monkeypatch.delenv("SYNTHGEN_DATA_DIR", raising=False)
    monkeypatch.setenv("SYNTHGEN_CACHE_DIR", str(tmp_path / "cache"))
    code, out, _ = call("data", "list", "--json")
    document = json.loads(out)
    status = {entry["name"]: (entry["status"], entry["path"]) for entry in document["sets"]}
    assert (code, document["schema_version"]) == (0, 1)
    assert status["mnist-mini"][0] == "embedded"
    assert status["mnist"] == status["cifar10"] == ("download", None)
    assert status["celeba"] == status["imagenet"] == ("by_hand", None)
    fashion = next(entry for entry in document["sets"] if entry["name"] == "fashion-mnist")
    assert fashion["images"] == {"train": 60_000, "test": 10_000}
    assert fashion["classes"][0] == "T-shirt/top"
    assert (fashion["shape"], fashion["licence"]) == ([28, 28, 1], "MIT")
    code, out, err = call("data", "list")
    assert all(text in out for text in ("60,000 + 10,000", "CC BY-SA 3.0", "embedded", "would be downloaded"))
    assert "next: synthgen data inspect mnist-mini" in err
    series = {entry["name"]: entry["status"] for entry in document["series"]}
    assert (series["stocks"], series["sines"]) == ("by_hand", "made")
    assert call("data", "list", "--quiet")[1].split() == [*status, *series]


def test_list_finds_the_data_folder(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "data" / "cifar10").mkdir(parents=True)
    (tmp_path / "data" / "cifar10" / "test_batch.bin").touch()
    monkeypatch.setenv("SYNTHGEN_DATA_DIR", str(tmp_path / "data"))
    entry = next(e for e in json.loads(call("data", "list", "--json")[1])["sets"] if e["name"] == "cifar10")
    assert (entry["status"], entry["path"]) == ("here", str(tmp_path / "data" / "cifar10"))


def test_inspect_as_json(call: Call, pictures: Path) -> None:
    code, out, err = call("data", "inspect", pictures, "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["count"], found["duplicates"], found["ignored_files"]) == (7, 1, 1)
    assert found["splits"][0]["classes"] == {"cat": 3, "dog": 4}
    assert found["unreadable"] == ["dog/broken.png: not an image in a format that is read here"]
    assert (found["distinct_sizes"], found["modes"], found["loaded_shape"]) == (6, {"RGB": 7}, [16, 16, 3])
    assert found["sizes"][0] == {"height": 25, "width": 24, "count": 2}
    assert found["splits"][0]["fingerprint"] == load_images(pictures, max_bad=1).fingerprint
    assert "--set data.max_bad=1" in err


def test_inspect_for_people(call: Call, pictures: Path) -> None:
    code, out, err = call("data", "inspect", pictures, "--preview", "look.png")
    assert code == 0
    for text in ("unreadable: dog/broken.png", "25x24 (2)", "and 2 more sizes", "cat", "16x16, RGB"):
        assert text in out
    assert "a few of each class: look.png" in err
    with Image.open("look.png") as picture:
        assert picture.width >= 137
    code, _, err = call("data", "inspect", pictures, "--preview", "look.png")
    assert (code, "look.png exists already" in err) == (2, True)


def test_inspect_quietly(call: Call, pictures: Path) -> None:
    (pictures / "dog" / "broken.png").unlink()
    code, out, err = call("data", "inspect", pictures, "-q", "--image-size", "8x12", "--channels", 1)
    assert (code, out, err) == (0, "7\n", "")


def test_prepare_then_load(call: Call, pictures: Path) -> None:
    code, out, err = call("data", "prepare", pictures, "--out", "ready", "--image-size", "8", "--max-bad", 1, "--json")
    made = json.loads(out)
    assert code == 0
    assert (made["path"], made["shape"], made["splits"]) == ("ready", [8, 8, 3], {"all": 7})
    assert len(made["skipped"]) == 1
    data = load_images("ready")
    assert (data.fingerprint, isinstance(data.images, np.memmap)) == (made["fingerprint"], True)
    code, out, err = call("data", "prepare", pictures, "--out", "ready", "--max-bad", 1)
    assert (code, out) == (2, "")
    assert "ready exists already" in err
    code, out, _ = call("data", "prepare", pictures, "--out", "ready", "--max-bad", 1, "--force", "-q")
    assert (code, out) == (0, "ready\n")
    code, out, err = call("data", "prepare", "ready", "--out", "smaller", "--image-size", "4")
    assert (code, "prepared 7 images in smaller" in out) == (0, True)
    assert "next: synthgen train --data smaller" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["inspect", "mnits"], "error: there is no data set, folder or file 'mnits' (did you mean 'mnist'?)"),
        (["inspect", "empty"], "error: empty is empty"),
        (["prepare", "pictures", "--out", "x"], "dog/broken.png: not an image"),
        (["prepare", "pictures", "--out", "x", "--image-size", "big"], "--image-size 'big' is no size"),
        (["prepare", "pictures", "--out", "x", "--image-size", "1x2x3"], "is no size"),
        (["prepare", "pictures", "--out", "x", "--image-size", "2"], "is no size"),
        (["prepare", "pictures", "--out", "x", "--channels", "2", "--max-bad", "1"], "1 channel (grey) or 3 (RGB)"),
        (["prepare", "pictures", "--out", "pictures", "--force"], "was not made by synthgen"),
    ],
)
def test_one_clear_error_and_exit_code_2(call: Call, pictures: Path, words: list[str], message: str) -> None:
    Path("empty").mkdir()
    code, out, err = call("data", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert not Path("x").exists()


def test_in_a_process_of_its_own(cli: Cli, pictures: Path) -> None:
    done = cli("data", "inspect", pictures, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["count"] == 7
    done = cli("data", "inspect", pictures.parent / "gone", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["exit_code"] == 2


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_is_done_and_the_same_command_goes_on(
    tmp_path: Path, call: Call, signum: signal.Signals, code: int
) -> None:
    (tmp_path / "many").mkdir()
    Image.new("RGB", (90, 90), (1, 2, 3)).save(tmp_path / "many" / "0000.png")
    for number in range(1, 6000):
        os.link(tmp_path / "many" / "0000.png", tmp_path / "many" / f"{number:04d}.png")
    arguments = ["data", "prepare", "many", "--out", "ready", "--image-size", "64", "--channels", "3"]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "synthgen", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "preparing: 0/6,000 images\n"
    process.send_signal(signum)
    _, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    assert "goes on from there" in err
    assert not (tmp_path / "ready").exists()
    done, out, _ = call(*arguments, "--json")
    assert (done, json.loads(out)["splits"]) == (0, {"all": 6000})
    assert len(np.unique(load_images("ready").images[::500], axis=0)) == 1
