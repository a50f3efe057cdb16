"""Which images an explanation looks at: those explained, those learned from, and those that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from synthgen.data import load_images
from synthgen.data.dataset import ImageData
from synthgen.data.decode import SUFFIXES, BadImageError, decode, strict_pillow
from synthgen.data.geometry import Geometry
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop
from synthgen.training.images import load_data

if TYPE_CHECKING:
    from synthgen.generation.model import Model


@dataclass(frozen=True)
class Real:
    """The real images. train: those learned from; None where they are not to be had, and `why` says why. holdout:
    images that the weights never saw, or None."""

    train: ImageData | None
    holdout: ImageData | None
    why: str = ""


def real_images(model: Model, data: str | None, reporter: Reporter, should_stop: ShouldStop) -> Real:
    """The training images (`data`, else the source in the model's config if it is still the same), and held-out ones:
    the test split, else what training left out. Raises UsageError for `data` that cannot be read."""
    config = model.config
    if data is not None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"source": data})})
    try:
        whole = load_data(config, should_stop=should_stop)
    except (SynthgenError, OSError) as error:
        if data is not None or isinstance(error, StoppedError):
            raise
        return Real(None, None, f"the training images cannot be read ({getattr(error, 'message', error)})")
    expected = (model.codec.height, model.codec.width, model.codec.channels)
    if whole.shape != expected:
        if data is None:
            return Real(None, None, f"{config.data.source} has changed since the training")
        raise UsageError(f"{whole.name} holds images of {whole.shape}, and the model's are {expected}")
    train, left_out = whole.hold_out(config.data.validation)
    if whole.fingerprint != model.header["data"]["fingerprint"]:  # of all, those held out among them
        if data is None:
            return Real(None, None, f"{config.data.source} has changed since the training")
        reporter.warn(f"{data} is not what the model was trained on: images of it are no training images")
    try:
        test = load_images(
            config.data.source,
            split="test",
            image_size=expected[:2],
            channels=expected[2],
            classes=config.data.classes,
            captions=whole.captioned,
            should_stop=should_stop,
        )
    except UsageError:  # no part was held out
        return Real(train, left_out)
    return Real(train, test)


def given_images(model: Model, paths: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Encoded images of files, float32 (N, C, H, W), brought to the model's size, and their names.

    paths: image files; a folder stands for those in it, a pattern (`my/*.png`) for what matches it. Raises UsageError
    naming what cannot be read.
    """
    codec = model.codec
    geometry = Geometry(codec.height, codec.width, codec.channels)
    files = [file for path in paths for file in _files(Path(path).expanduser())]
    with strict_pillow():
        images = np.stack([_read(file, geometry) for file in files])
    return encoded(model, images), tuple(file.name for file in files)


def _read(file: Path, geometry: Geometry) -> np.ndarray:
    try:
        with file.open("rb") as stream:
            return decode(stream, geometry)
    except (BadImageError, OSError) as error:
        raise UsageError(f"{file} cannot be read as an image: {error}") from error


def _files(path: Path) -> list[Path]:
    """The image files that a path, a folder or a pattern means, sorted."""
    if path.is_file():
        return [path]
    found = path.iterdir() if path.is_dir() else path.parent.glob(path.name) if path.parent.is_dir() else ()
    files = sorted(file for file in found if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise UsageError(f"there is no image {path}", "name image files, a folder of them, or a pattern in quotes")
    return files


def encoded(model: Model, images: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W, C) to float32 (N, C, H, W). Raises UsageError for another shape."""
    expected = (model.codec.height, model.codec.width, model.codec.channels)
    if images.ndim != 4 or images.shape[1:] != expected or images.dtype != np.uint8 or not len(images):
        raise UsageError(
            f"images of this model are uint8 (N, {', '.join(map(str, expected))}), not {images.dtype} {images.shape}"
        )
    return np.ascontiguousarray(model.codec.encode(torch.from_numpy(np.ascontiguousarray(images))).numpy())


def decoded(x: np.ndarray) -> np.ndarray:
    """Encoded images as uint8 (N, H, W, C), as they are shown."""
    shown = np.clip(x, -1.0, 1.0)
    return np.moveaxis(np.rint((shown + 1.0) * 127.5).astype(np.uint8), 1, -1)
