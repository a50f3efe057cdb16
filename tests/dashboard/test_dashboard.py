"""The page, run as Streamlit runs it, on models that were really trained; and the command that starts it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pandas as pd
import pytest

from synthgen.dashboard.names import DEVICE_VARIABLE, RUN_VARIABLE, log_of
from synthgen.generation.model import load

pytest.importorskip("streamlit", reason='the dashboard needs pip install "synthgen[dashboard]"')
from streamlit.testing.v1 import AppTest

APP = Path(__file__).resolve().parents[2] / "synthgen" / "dashboard" / "app.py"
Show = Callable[..., AppTest]


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Show:
    """show(run, view): the page of a run with a view chosen."""

    def shown(run: object, view: str | None = None) -> AppTest:
        monkeypatch.setenv(RUN_VARIABLE, str(run))
        monkeypatch.setenv(DEVICE_VARIABLE, "cpu")
        page = AppTest.from_file(str(APP), default_timeout=600).run()
        assert not page.exception
        return page if view is None else choose(page, view)

    return shown


def choose(page: AppTest, view: str) -> AppTest:
    page.radio(key="view").set_value(view).run()
    assert not page.exception
    return page


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click()
    page.run()
    assert not page.exception
    return page


def downloads(page: AppTest) -> list[str]:
    return [one.label for one in page.get("download_button")]


def test_images_are_those_of_the_model_and_can_be_saved(show: Show, tiny_run: Path) -> None:
    model: Any = load(tiny_run, device="cpu")
    name = model.class_names[1]
    page = show(tiny_run)
    page.number_input(key="generate-count").set_value(3)
    page.number_input(key="generate-seed").set_value(5)
    page.multiselect(key="generate-classes").set_value([name])
    press(page, "Generate")
    wish, images = page.session_state["images"]
    assert (wish.count, wish.seed, wish.labels, wish.steps) == (3, 5, (name,), None)
    assert np.array_equal(images, model.sample(3, seed=5, labels=name))
    assert downloads(page) == ["Picture", "PNG files", "npz"]
    assert f"--class {name}" in page.code[0].value
    assert "--seed 5" in page.code[0].value
    assert "--steps" not in page.code[0].value, "what was left alone is not said"


def test_the_denoising_ends_in_the_samples(show: Show, tiny_run: Path) -> None:
    page = show(tiny_run, "Denoising")
    page.number_input(key="denoise-count").set_value(2)
    press(page, "Draw")
    _, path = page.session_state["path"]
    assert path.x.shape[1] == 2
    page.slider[-1].set_value(len(path.x0)).run()
    assert not page.exception
    assert f"noise to signal {path.sigmas[-1]:.3g}" in " ".join(caption.value for caption in page.caption)


def test_the_explanation_shows_its_page(show: Show, tiny_run: Path) -> None:
    page = show(tiny_run, "Explain")
    page.multiselect[-1].set_value(["trajectory"])
    press(page, "Explain")
    _, files = page.session_state["explained"]
    assert b"<html" in files["index.html"]
    assert downloads(page) == ["Everything as a zip"]
    page.number_input(key="why-seed").set_value(1).run()
    assert downloads(page) == [], "an explanation of other samples is not shown under these settings"


def test_a_chosen_image_is_explained(show: Show, tiny_run: Path, tmp_path: Path) -> None:
    page = show(tiny_run, "Explain")
    page.radio(key="why-source").set_value("images of Generate").run()
    assert "Generate images first" in page.info[0].value
    choose(page, "Generate")
    press(page, "Generate")
    choose(page, "Explain")
    page.radio(key="why-source").set_value("images of Generate").run()
    page.multiselect(key="why-numbers").set_value([3]).run()
    assert "trajectory" not in page.multiselect[-1].options, "nobody knows how a given image came to be"
    page.multiselect[-1].set_value(["evidence"])
    press(page, "Explain")
    assert not page.error
    (chosen, _), files = page.session_state["explained"]
    assert chosen.labels == (1,), "image 3 is of the second class: they take turns"
    summary = json.loads(files["summary.json"])
    assert summary["methods"] == ["evidence"]
    page.radio(key="why-source").set_value("files of your own").run()
    assert not page.exception
    assert downloads(page) == []


def test_images_are_compared_with_their_nearest_training_images(show: Show, tiny_run: Path) -> None:
    page = show(tiny_run, "Compare")
    assert "Generate images first" in page.info[0].value
    choose(page, "Generate")
    press(page, "Generate")
    choose(page, "Compare")
    assert "Copies among 16" in " ".join(text.value for text in page.markdown)


def test_the_training_is_followed(show: Show, tiny_run: Path, tmp_path: Path) -> None:
    page = show(tiny_run, "Training")
    assert [metric.label for metric in page.metric][:2] == ["step", "loss"]
    young = tmp_path / "young"
    young.mkdir()
    (young / "metrics.jsonl").write_text((log_of(str(tiny_run)) or Path()).read_text().splitlines()[0] + "\n")
    page = show(young)
    assert "no checkpoint yet" in page.info[0].value
    assert page.metric[0].value != ""


def test_a_run_that_is_not_there_says_so(show: Show) -> None:
    page = show("nowhere")
    assert "there is no run or checkpoint 'nowhere'" in page.error[0].value


def test_rows_keep_conditions_and_files_are_completed(show: Show, table_run: Path, table_csv: Path) -> None:
    page = show(table_run)
    model: Any = load(table_run, device="cpu")
    press(page, "Generate")
    *_, frame = page.session_state["rows"]
    pd.testing.assert_frame_equal(frame, model.sample(100))
    page.text_area[0].set_value("nonsense").run()
    next(button for button in page.button if button.label == "Generate").click()
    page.run()
    assert page.error, "a condition that is none is explained, not thrown"
    choose(page, "Compare")
    assert not page.error
    choose(page, "Complete")
    assert not page.error


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1"])
def test_an_address_that_others_reach_must_be_asked_for(cli: Any, tiny_run: Path, address: str) -> None:
    result = cli("dashboard", str(tiny_run), "--host", address)
    assert result.returncode == 2
    assert "asks nobody for a password" in result.stderr


@pytest.mark.slow
def test_the_command_serves_the_page_and_ends_on_sigterm(tiny_run: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "synthgen", "dashboard", str(tiny_run), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "is shown on" in line:
                break
        with urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert b"<html" in answer.read()
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "stopped" in out
    finally:
        process.kill()
