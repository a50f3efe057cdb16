"""synthgen: diffusion models that turn your data into synthetic data.

Importing this package is cheap. The public names below load what they need (torch, diffusers) on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from synthgen.api import augment_classifier as augment_classifier
    from synthgen.api import evaluate as evaluate
    from synthgen.api import sample as sample
    from synthgen.api import train as train
    from synthgen.config.loading import load_config as load_config
    from synthgen.data import load_images as load_images
    from synthgen.errors import SynthgenError as SynthgenError
    from synthgen.generation.model import Model as Model
    from synthgen.generation.model import load as load
    from synthgen.generation.tables.model import TableModel as TableModel

# `explain` and `export` are the names of rooms; their calls are `synthgen.api.explain` and `synthgen.api.export`.
_PUBLIC = {
    "Model": "synthgen.generation.model",
    "SynthgenError": "synthgen.errors",
    "TableModel": "synthgen.generation.tables.model",
    "augment_classifier": "synthgen.api",
    "evaluate": "synthgen.api",
    "load": "synthgen.generation.model",
    "load_config": "synthgen.config.loading",
    "load_images": "synthgen.data",
    "sample": "synthgen.api",
    "train": "synthgen.api",
}

__all__ = ["__version__", "api", *_PUBLIC]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name == "api":
        return import_module("synthgen.api")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'synthgen' has no attribute '{name}'")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
