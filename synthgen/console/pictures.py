"""Pictures drawn in the terminal: by its own graphics where it has them, else by half blocks."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from synthgen.console.color import is_terminal

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console


def can_draw() -> bool:
    """Whether the terminal may be asked what it can show.

    textual-image asks it while being imported: it writes a query to stdout and reads the answer from stdin.
    So all three streams must be the terminal, and we must be its foreground job: a background job that reads
    from it is stopped.
    """
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    if any(stream is None or not is_terminal(stream) for stream in streams):
        return False
    if 0 in shutil.get_terminal_size((0, 0)):  # a terminal without a size has no room, and nobody in front of it
        return False
    if not hasattr(os, "tcgetpgrp"):  # Windows has no jobs
        return True
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def support() -> str:
    """The way pictures are drawn here, in words."""
    if not can_draw():
        return "as the path of the saved file"
    from textual_image.renderable import Image, SixelImage, TGPImage

    return {SixelImage: "sixel graphics", TGPImage: "kitty graphics"}.get(Image, "half blocks")


def draw(image: np.ndarray, console: Console) -> None:
    """Draw a picture, uint8 (H, W, C), no wider than the terminal and no higher than about half of it."""
    from textual_image.renderable import HalfcellImage, Image

    from synthgen.rendering import to_pil

    height, width = image.shape[:2]
    rows = max(12, console.height // 2)
    columns = max(1, min(width, console.width - 1, int(rows * 2 * width / height)))
    # Real pixels: enlarge by whole steps, so that small pictures stay sharp. A half block is one pixel.
    scale = 1 if Image is HalfcellImage else max(1, 640 // width)
    console.print(Image(to_pil(image, scale=scale), width=columns, height="auto"))
