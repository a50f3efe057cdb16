"""Exact copies between two sets of images."""

from __future__ import annotations

import hashlib

import numpy as np


def count_copies(images: np.ndarray, among: np.ndarray) -> int:
    """How many of `images` (N, H, W, C) are, pixel for pixel, in `among`."""
    if images.shape[1:] != among.shape[1:]:
        return 0
    known = set(_digests(among))
    return sum(digest in known for digest in _digests(images))


def _digests(images: np.ndarray) -> list[bytes]:
    return [hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest() for image in images]
