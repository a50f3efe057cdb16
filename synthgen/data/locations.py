"""Where data sets live: the user's data folder, the user's cache, the folder beside a checkout."""

from __future__ import annotations

import os
from pathlib import Path

from synthgen.errors import UsageError

DATA_VARIABLE = "SYNTHGEN_DATA_DIR"
CACHE_VARIABLE = "SYNTHGEN_CACHE_DIR"


def cache_root() -> Path:
    """The user's cache: `SYNTHGEN_CACHE_DIR`, else `$XDG_CACHE_HOME/synthgen`, else `~/.cache/synthgen`."""
    override = os.environ.get(CACHE_VARIABLE)
    if override:
        return Path(override).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "synthgen"


def checkout_data() -> Path | None:
    """`shared/data` beside the checkout that this package runs from; None for an installed package."""
    checkout = Path(__file__).resolve().parents[2]
    folder = checkout.parent / "shared" / "data"
    return folder if (checkout / "pyproject.toml").is_file() and folder.is_dir() else None


def data_roots() -> list[Path]:
    """The folders searched for known sets, in order. Raises UsageError when `SYNTHGEN_DATA_DIR` is no folder."""
    roots = []
    named = os.environ.get(DATA_VARIABLE)
    if named:
        if not Path(named).expanduser().is_dir():
            raise UsageError(
                f"{DATA_VARIABLE} names {named}, which is not a folder", "Correct the variable or unset it."
            )
        roots.append(Path(named).expanduser())
    roots.append(cache_root() / "data")
    beside = checkout_data()
    return [*roots, beside] if beside else roots
