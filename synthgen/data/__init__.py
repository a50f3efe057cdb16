"""What comes in: images as arrays with labels, from known sets, folders, archives and prepared caches."""

from synthgen.data.dataset import ImageCodec, ImageData
from synthgen.data.images import load_images, prepare
from synthgen.data.registry import known_sources

__all__ = ["ImageCodec", "ImageData", "known_sources", "load_images", "prepare"]
