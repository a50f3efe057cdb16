"""The how-to pages as a reader would follow them: their commands in their order, in a folder with such data."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from synthgen.cli import app
from synthgen.console.boundary import run
from tests.conftest import CHECKOUT, TINY, TINY_TABLE, people, two_corners
from tests.test_docs import shell_lines, synthgen_commands

DOCS = CHECKOUT / "docs"

SMALL = [part for text in TINY for part in ("--set", text)]
SMALL_TABLE = [part for text in TINY_TABLE if "constraints" not in text for part in ("--set", text)]


def shorter(words: list[str]) -> list[str]:
    """The command with a training of a few steps of a small network in place of its own."""
    given = list(words)
    if "--budget" in given:
        place = given.index("--budget")
        del given[place : place + 2]
    if given[0] == "train":
        return [*given, "--steps", "8", *(SMALL_TABLE if given[1].endswith(".csv") else SMALL)]
    if "--train-generator" in given:
        return [*given, "--steps", "4", "--count", "40", "--set", "training.steps=8", *SMALL]
    return given


def pictures(folder: Path, classes: tuple[str, str], count: int, seed: int) -> None:
    images, labels = two_corners(count, seed)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / classes[label] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(path)


def images_at_hand(folder: Path) -> None:
    pictures(folder / "my-images", ("cat", "dog"), 80, 0)


def table_at_hand(folder: Path) -> None:
    rows = people(400)
    rows.to_csv(folder / "all.csv", index=False)
    rows.iloc[2:22].drop(columns=["income"]).to_csv(folder / "partial.csv", index=False)


def gates_at_hand(folder: Path) -> None:
    pictures(folder / "real", ("cat", "dog"), 160, 0)
    for name, count, seed in (("people", 200, 0), ("synthetic", 200, 1), ("unseen", 120, 2)):
        people(count, seed).to_csv(folder / f"{name}.csv", index=False)
    pictures(folder / "source", ("cat", "dog"), 80, 1)
    train = ["train", "--data", "source", "--out", "run", "--steps", "1", *SMALL, "--quiet"]
    assert run(app, train) == 0
    assert run(app, ["sample", "run", "--count", "80", "--out", "samples", "--quiet"]) == 0


def done(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and stderr of a command: here, where torch is loaded already, but for those that leave the process."""
    if "--devices" in words:
        result = subprocess.run([sys.executable, "-m", "synthgen", *words], capture_output=True, text=True, timeout=600)
        return result.returncode, result.stderr
    capsys.readouterr()
    return run(app, words), capsys.readouterr().err


def program(page: str, number: int) -> str:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)[number]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "prepare", "codes"),
    [
        ("own-images.md", images_at_hand, {}),
        ("own-table.md", table_at_hand, {}),
        ("ci-gate.md", gates_at_hand, {0: 3}),
        ("cluster.md", None, {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_page_can_be_followed(
    page: str,
    prepare: Callable[[Path], None] | None,
    codes: dict[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    one_thread: None,
) -> None:
    """codes: the exit codes of the page's commands by their number, where one is not 0."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    if page == "cluster.md":
        pytest.importorskip("lightning_fabric", reason='needs pip install "synthgen[distributed]"')
    if prepare is not None:
        prepare(tmp_path)
    if page == "own-table.md":
        exec(program(page, 0), {})
    for number, (line, words) in enumerate(synthgen_commands(DOCS / page, ("sh",))):
        words = shorter(words)
        code, said = done(words, capsys)
        assert code == codes.get(number, 0), f"{page}:{line}: {shlex.join(words)}\n{said}"


def test_the_pipelines_of_the_page_are_well_formed() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / "ci-gate.md").read_text(encoding="utf-8"), re.DOTALL)
    actions, gitlab = map(yaml.safe_load, blocks)
    steps = [step["run"] for step in actions["jobs"]["quality"]["steps"] if "run" in step]
    assert "\n" not in steps[-1], "one command"
    assert gitlab["synthetic-data"]["script"][-1].startswith("synthgen evaluate")
    (line,) = [line for _, line in shell_lines(DOCS / "ci-gate.md") if line.startswith("python -c")]
    compile(shlex.split(line)[2], "one line", "exec")


def test_the_scripts_of_the_cluster_page_are_shells() -> None:
    scripts = re.findall(r"```bash\n(.*?)```", (DOCS / "cluster.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (0, "")
