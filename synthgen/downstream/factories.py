"""Which classifier the experiment trains: one of ours by its name, or the user's own by `module:factory`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from synthgen.errors import UsageError, nearest
from synthgen.models.classifier import ConvClassifier

Shape = tuple[int, int, int]
Factory = Callable[[Shape, int], nn.Module]
"""`factory(image_shape, num_classes)`: image_shape is (C, H, W); the module maps float (N, C, H, W) in [-1, 1] to
logits (N, num_classes)."""


class ResidualBlock(nn.Module):
    """Two convolutions with batch norm around a shortcut (He et al. 2015, figure 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.path(x) + self.shortcut(x))


def _cnn(shape: Shape, num_classes: int) -> nn.Module:
    return ConvClassifier(shape[0], num_classes).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return,unused-ignore]


def _resnet(shape: Shape, num_classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(shape[0], 32, 3, 2, 1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        ResidualBlock(32, 32, 1),
        ResidualBlock(32, 64, 2),
        ResidualBlock(64, 128, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(128, num_classes),
    )


def _logistic(shape: Shape, num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], num_classes))


BUILT_IN: dict[str, Factory] = {"cnn": _cnn, "resnet": _resnet, "logistic": _logistic}
"""Five convolutions; a residual network of seven; multinomial logistic regression on the pixels."""


@dataclass(frozen=True)
class Classifier:
    """What is trained. version: changes when the code of a user's factory does."""

    name: str
    factory: Factory
    version: str = ""

    def build(self, shape: Shape, num_classes: int, seed: int) -> nn.Module:
        """A fresh module for images (C, H, W), its weights decided by `seed` alone.

        Raises: UsageError when a user's factory fails, or its module does not give (N, num_classes) logits.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                module = self.factory(shape, num_classes)
                if not isinstance(module, nn.Module):
                    raise TypeError(f"it returned {type(module).__name__}, not a torch.nn.Module")
                found = tuple(module.eval()(torch.zeros(2, *shape)).shape)
            except Exception as error:
                raise UsageError(
                    f"--classifier {self.name}: building it for images of {shape} and {num_classes} classes failed: "
                    f"{type(error).__name__}: {error}",
                    "factory(image_shape, num_classes) must return a torch.nn.Module; image_shape is (C, H, W)",
                ) from error
        if found != (2, num_classes):
            raise UsageError(
                f"--classifier {self.name}: for 2 images it gives {found}, not logits of shape (2, {num_classes})"
            )
        return module


def resolve_classifier(name: str) -> Classifier:
    """`cnn`, `resnet`, `logistic`, `package.module:factory` or `path/file.py:factory`.

    The last two import and run the code that is named: it is the user's own, with all the user's rights. Raises
    UsageError for what is not there.
    """
    if name in BUILT_IN:
        return Classifier(name, BUILT_IN[name])
    place, colon, attribute = name.rpartition(":")
    if not colon or not place or not attribute:
        raise UsageError(
            f"--classifier: there is no '{name}'{nearest(name, list(BUILT_IN))}",
            f"choose {', '.join(BUILT_IN)}, or your own as module:factory or file.py:factory",
        )
    module = _module(place)
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise UsageError(f"--classifier: {place} has no function '{attribute}'{nearest(attribute, dir(module))}")
    file = getattr(module, "__file__", None)
    version = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file and Path(file).is_file() else ""
    return Classifier(name, factory, version)


def _module(place: str) -> ModuleType:
    """Import a module by its name (also from the current folder) or a .py file by its path."""
    try:
        if place.endswith(".py"):
            return _from_file(Path(place))
        sys.path.insert(0, "")
        try:
            return importlib.import_module(place)
        finally:
            sys.path.remove("")
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"--classifier: cannot import {place}: {type(error).__name__}: {error}") from error


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"--classifier: there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"synthgen_classifier_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
