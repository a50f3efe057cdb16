"""`synthgen sample --prompt` from a shell: what it writes, and what it says where it cannot."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from PIL import Image

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_prompt_names_the_folder_and_stands_in_the_manifest(cli: Cli, captioned_run: Path, tmp_path: Path) -> None:
    asked = ["--prompt", "Red square, on the left!", "--prompt", "a blue square", "--count", 4]
    done = cli("sample", captioned_run, *asked, "--out", "made", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"] == {"red square on the left": 2, "a blue square": 2}
    document = json.loads((tmp_path / "made" / "manifest.json").read_text())
    assert document["plan"]["prompts"] == ["red square on the left", "a blue square"]
    pictures = sorted((tmp_path / "made").glob("*/*.png"))
    assert [path.parent.name for path in pictures].count("a blue square") == 2
    with Image.open(pictures[-1]) as picture:
        assert picture.size == (8, 8)
    again = cli("sample", captioned_run, *asked, "--out", "made", "--resume")
    assert again.returncode == 0 and "is complete already" in again.stderr
    other = cli("sample", captioned_run, "--prompt", "red", "--count", 4, "--out", "made", "--resume")
    assert other.returncode == 2 and "was begun with another plan" in other.stderr


def test_what_a_prompt_cannot_be(cli: Cli, captioned_run: Path, tiny_run: Path) -> None:
    unknown = cli("sample", captioned_run, "--prompt", "a sqare", "--dry-run")
    assert unknown.returncode == 2
    assert "does not know the word 'sqare' (did you mean 'square'?)" in " ".join(unknown.stderr.split())
    both = cli("sample", captioned_run, "--prompt", "red", "--class", "a red square on the left", "--dry-run")
    assert both.returncode == 2 and "--class and --prompt both say what the samples show" in both.stderr
    without = cli("sample", tiny_run, "--prompt", "red", "--dry-run")
    assert without.returncode == 2 and "did not learn from captions" in without.stderr
    assert "Traceback" not in unknown.stderr + both.stderr + without.stderr


def test_a_prompt_is_for_images(cli: Cli, table_run: Path) -> None:
    done = cli("sample", table_run, "--prompt", "red", "--out", "rows.csv")
    assert done.returncode == 2 and "--prompt belongs to a model of images" in done.stderr
