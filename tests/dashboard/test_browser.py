"""The page in headless Chromium: what AppTest cannot see (layout, frames, downloads, uploads, the network)."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest

from synthgen.generation.model import load

pytest.importorskip("streamlit", reason='the dashboard needs pip install "synthgen[dashboard]"')
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 240_000
"""Milliseconds: an end for a page that hangs, and no measure of one that does not."""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]


@contextmanager
def shown(run: Path) -> Iterator[str]:
    """The address of `synthgen dashboard RUN`, a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "synthgen", "dashboard", str(run), "--port", str(port), "--device", "cpu"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    try:
        assert any("is shown on" in line for line in process.stderr), "it did not start"
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, url: str, width: int, height: int) -> Iterator[Any]:
    """The page in a window; fails when it asked another machine for anything, or showed an exception."""
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(PATIENCE)
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url).hostname or ""))
    page.goto(url)
    page.get_by_role("radiogroup").first.wait_for()
    yield page
    assert page.get_by_test_id("stException").count() == 0
    assert asked <= {"127.0.0.1", ""}, "it works offline"
    page.close()


def press(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def choose(page: Any, view: str) -> None:
    page.locator("label", has_text=re.compile(f"^{view}$")).first.click()


def saved(page: Any, name: str, folder: Path) -> Path:
    """What a download button gives."""
    with page.expect_download() as download:
        press(page, name)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def fits(page: Any) -> None:
    """Nothing sticks out of the window to the side."""
    wide = page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    main = page.get_by_test_id("stMain").evaluate("one => one.scrollWidth - one.clientWidth")
    assert main <= 0


def test_images_are_drawn_explained_and_saved(browser: Any, tiny_run: Path, tmp_path: Path) -> None:
    with shown(tiny_run) as url, opened(browser, url, 1280, 900) as page:
        page.get_by_label("Images").fill("4")
        press(page, "Generate")
        page.get_by_text("The same on the command line").wait_for()
        with np.load(saved(page, "npz", tmp_path)) as file:
            np.testing.assert_array_equal(file["images"], load(tiny_run, device="cpu").sample(4))
        fits(page)
        choose(page, "Explain")
        choose(page, "images of Generate")
        press(page, "Explain")
        frame = page.frame_locator("iframe")
        frame.locator("h1").wait_for()
        assert "1 given image" in frame.locator("body").inner_text()
        assert saved(page, "Everything as a zip", tmp_path).stat().st_size > 1000
        page.set_viewport_size({"width": 390, "height": 844})
        fits(page)
        inside = page.locator("iframe").element_handle().content_frame()
        assert inside.evaluate("document.scrollingElement.scrollWidth - window.innerWidth") <= 0


def test_a_phone_completes_a_table(browser: Any, table_run: Path, table_csv: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(table_csv).iloc[10:20].drop(columns=["income"])
    rows.to_csv(tmp_path / "partial.csv", index=False)
    with shown(table_run) as url, opened(browser, url, 390, 844) as page:
        choose(page, "Complete")
        page.locator("input[type=file]").set_input_files(tmp_path / "partial.csv")
        press(page, "Complete")
        found = pd.read_csv(saved(page, "CSV", tmp_path))
        assert set(found["income"]) <= {"<=50K", ">50K"}
        assert found["age"].tolist() == rows["age"].tolist()
        fits(page)
