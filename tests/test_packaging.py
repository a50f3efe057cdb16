"""What is inside the wheel, and that it works where there is no checkout."""

from __future__ import annotations

import email
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import synthgen

CHECKOUT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(
    not (CHECKOUT / "pyproject.toml").is_file(), reason="needs the checkout to build the wheel from"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)]
    subprocess.run(build, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def contents(wheel: Path) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.file_size for entry in archive.infolist()}


def test_the_presets_are_in_it(contents: dict[str, int]) -> None:
    for preset in (CHECKOUT / "configs").glob("*.yaml"):
        assert f"synthgen/configs/{preset.name}" in contents


def test_it_is_typed_and_licensed(contents: dict[str, int]) -> None:
    assert "synthgen/py.typed" in contents
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in contents)


def test_every_module_and_data_file_is_in_it(contents: dict[str, int]) -> None:
    package = CHECKOUT / "synthgen"
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    missing = [path for path in files if path.relative_to(CHECKOUT).as_posix() not in contents]
    assert missing == []


def test_the_embedded_data_is_in_it_and_small(contents: dict[str, int]) -> None:
    embedded = {name: size for name, size in contents.items() if name.startswith("synthgen/data/embedded/mnist-mini/")}
    assert any("images" in name for name in embedded)
    assert sum(embedded.values()) < 3_000_000


def test_completions_go_where_shells_look(contents: dict[str, int]) -> None:
    for place in (
        "bash-completion/completions/synthgen",
        "zsh/site-functions/_synthgen",
        "fish/vendor_completions.d/synthgen.fish",
    ):
        assert any(name.endswith(f".data/data/share/{place}") for name in contents)


def test_nothing_else_is_in_it(contents: dict[str, int]) -> None:
    tops = {name.split("/")[0] for name in contents}
    version = synthgen.__version__
    assert tops == {"synthgen", f"synthgen-{version}.dist-info", f"synthgen-{version}.data"}


def test_its_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Version"] == synthgen.__version__
    assert metadata["Requires-Python"] == ">=3.10"
    required = metadata.get_all("Requires-Dist") or []
    capped = [text for text in required if "<" in text.partition(";")[0] or "==" in text.partition(";")[0]]
    assert capped == [], "lower bounds only"
    names = {text.partition(">")[0].strip() for text in required if "extra ==" not in text.replace('"', "'")}
    assert {"torch", "diffusers", "typer", "rich", "pyyaml", "pydantic", "torch-fidelity", "captum", "shap"} <= names


def test_it_runs_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """From the unpacked wheel, in an empty folder: the presets are the wheel's own."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    script = (
        "import synthgen; from synthgen.config.presets import preset_folder, preset_names\n"
        "print(synthgen.__file__, preset_folder(), *preset_names(), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path / "empty",
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    module, folder, *names = done.stdout.splitlines()
    assert Path(module) == tmp_path / "site" / "synthgen" / "__init__.py"
    assert Path(folder) == tmp_path / "site" / "synthgen" / "configs"
    assert names == sorted(path.stem for path in (CHECKOUT / "configs").glob("*.yaml"))
