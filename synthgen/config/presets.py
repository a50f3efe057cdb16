"""Where the presets are: inside the installed package, or beside it in a checkout (editable install)."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

try:  # the abstract type moved in Python 3.11 and left its old home in 3.14
    from importlib.resources.abc import Traversable
except ImportError:  # pragma: no cover - Python 3.10
    from importlib.abc import Traversable


def preset_folder() -> Traversable:
    """The folder that holds the `*.yaml` presets.

    A wheel carries them as `synthgen/configs`. An editable install imports the package from the checkout,
    where they are the `configs` folder beside it.
    """
    installed = resources.files("synthgen") / "configs"
    if installed.is_dir():
        return installed
    return Path(__file__).resolve().parents[2] / "configs"


def preset_names() -> list[str]:
    """The names of the presets, sorted: `mnist`, `images`, ..."""
    folder = preset_folder()
    if not folder.is_dir():
        return []
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))


def preset_text(name: str) -> str:
    """The YAML text of a preset. Raises KeyError for an unknown name."""
    if name not in preset_names():
        raise KeyError(name)
    return (preset_folder() / f"{name}.yaml").read_text(encoding="utf-8")


def preset_summary(name: str) -> str:
    """What a preset is for: the first comment line of its file."""
    return preset_text(name).partition("\n")[0].removeprefix("#").strip()
