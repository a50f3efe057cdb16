"""Classical augmentation: training images that are moved, turned and scaled anew every time they are shown."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from synthgen.errors import UsageError, nearest

_MOST = {"shift": 0.5, "rotation": 180.0, "scale": 0.9}


@dataclass(frozen=True)
class Transforms:
    """How far an image may be changed, each way and uniformly distributed.

    shift: of the image's side, each axis on its own. rotation: degrees. scale: of the image's size. horizontal_flip:
    mirror half of the images; off unless asked for, because a mirrored digit is another sign.
    """

    shift: float = 0.08
    rotation: float = 10.0
    scale: float = 0.1
    horizontal_flip: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def sentence(self) -> str:
        """The changes in words."""
        flip = ", half of them mirrored" if self.horizontal_flip else ", never mirrored"
        return (
            f"shifted by up to {100 * self.shift:g} % of the side, turned by up to {self.rotation:g} degrees, scaled "
            f"by up to {100 * self.scale:g} %{flip}"
        )

    def apply(self, images: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
        """Change float images (N, C, H, W), each in its own way: one bilinear resampling, edges repeated."""
        matrices = self.matrices(len(images), images.shape[-2], images.shape[-1], random)
        theta = torch.from_numpy(matrices).to(images.device, images.dtype)
        places = F.affine_grid(theta, list(images.shape), align_corners=False)
        return F.grid_sample(images, places, mode="bilinear", padding_mode="border", align_corners=False)

    def matrices(self, count: int, height: int, width: int, random: np.random.Generator) -> np.ndarray:
        """Where each pixel comes from: float32 (count, 2, 3) in the coordinates of `affine_grid`, -1 to 1 a side.

        A turn is one of pixels, so the coordinates of an image that is not square are brought to pixels and back.
        """
        angle = np.deg2rad(random.uniform(-self.rotation, self.rotation, count))
        zoom = 1.0 / random.uniform(1.0 - self.scale, 1.0 + self.scale, count)
        moved = random.uniform(-2.0 * self.shift, 2.0 * self.shift, (2, count))
        mirror = np.where(random.random(count) < 0.5, -1.0, 1.0) if self.horizontal_flip else np.ones(count)
        cosine, sine = np.cos(angle) * zoom, np.sin(angle) * zoom
        rows = [
            [mirror * cosine, mirror * -sine * height / width, moved[0]],
            [sine * width / height, cosine, moved[1]],
        ]
        return np.stack([np.stack(row, axis=-1) for row in rows], axis=1).astype(np.float32)


def parse_transforms(text: str) -> Transforms:
    """`shift=0.08,rotation=10,scale=0.1,flip`: what is not named keeps its default. Raises UsageError."""
    known = [*_MOST, "flip"]
    values: dict[str, Any] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, sign, value = part.partition("=")
        if name == "flip" and not sign:
            values["horizontal_flip"] = True
            continue
        if name not in _MOST:
            raise UsageError(
                f"--augment: there is no change '{part}'{nearest(name, known)}",
                "write shift=0.08,rotation=10,scale=0.1 and flip where mirrored images mean the same",
            )
        values[name] = _number(name, value)
    return Transforms(**values)


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= _MOST[name]:
        raise UsageError(f"--augment: {name} must be a number from 0 to {_MOST[name]:g}, not '{text}'")
    return value
