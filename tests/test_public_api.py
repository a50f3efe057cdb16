"""`import synthgen` is cheap, and its names are there when asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import synthgen


def test_importing_the_package_loads_nothing_heavy() -> None:
    script = (
        "import sys, synthgen; print([n for n in ('torch', 'numpy', 'yaml', 'pydantic', 'typer') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", synthgen.__all__)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(synthgen, name)
    assert isinstance(value, str) or value.__doc__
    assert name in dir(synthgen)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'synthgen' has no attribute 'lod'"):
        synthgen.lod  # noqa: B018
