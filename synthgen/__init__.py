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
    from synthgen.downstream.images import run_augmentation as run_augmentation
    from synthgen.errors import SynthgenError as SynthgenError
    from synthgen.evaluation.images import evaluate_images as evaluate_images
    from synthgen.explain.run import explain_to_folder as explain_to_folder
    from synthgen.export.exporting import export_model as export_model
    from synthgen.generation.folder import plan_samples as plan_samples
    from synthgen.generation.folder import sample_to_folder as sample_to_folder
    from synthgen.generation.model import load as load
    from synthgen.training.run import train as train

_PUBLIC = {
    "SynthgenError": "synthgen.errors",
    "evaluate_images": "synthgen.evaluation.images",
    "explain_to_folder": "synthgen.explain.run",
    "export_model": "synthgen.export.exporting",
    "load": "synthgen.generation.model",
    "load_config": "synthgen.config.loading",
    "load_images": "synthgen.data",
    "plan_samples": "synthgen.generation.folder",
    "run_augmentation": "synthgen.downstream.images",
    "sample_to_folder": "synthgen.generation.folder",
    "train": "synthgen.training.run",
}

__all__ = [
    "SynthgenError",
    "__version__",
    "evaluate_images",
    "explain_to_folder",
    "export_model",
    "load",
    "load_config",
    "load_images",
    "plan_samples",
    "run_augmentation",
    "sample_to_folder",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'synthgen' has no attribute '{name}'")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
