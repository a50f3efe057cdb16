"""synthgen: diffusion models that turn your data into synthetic data.

Importing this package is cheap. The public names below load what they need (torch, diffusers) on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from synthgen.config.loading import load_config as load_config
    from synthgen.data import load_images as load_images
    from synthgen.errors import SynthgenError as SynthgenError
    from synthgen.generation.model import load as load

_PUBLIC = {
    "SynthgenError": "synthgen.errors",
    "load": "synthgen.generation.model",
    "load_config": "synthgen.config.loading",
    "load_images": "synthgen.data",
}

__all__ = ["SynthgenError", "__version__", "load", "load_config", "load_images"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'synthgen' has no attribute '{name}'")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
