"""Runs in TensorBoard: event files in the folder `tensorboard` of the run, for `tensorboard --logdir runs`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from synthgen.history import flat
from synthgen.training.tracking import cards, numbers

FOLDER = "tensorboard"


class TensorboardTracker:
    """Event files of one run. A resumed run writes on in the same folder, and what came after `step` is purged."""

    def __init__(self, run: Path, step: int) -> None:
        self.run, self.step = run, step
        self.writer: Any = None

    def begin(self, settings: dict[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        purged = self.step + 1 if self.step else None
        self.writer = SummaryWriter(str(self.run / FOLDER), purge_step=purged)
        rows = "\n".join(f"| {key} | {value} |" for key, value in flat(settings))
        self._text("settings", f"| setting | value |\n|---|---|\n{rows}", self.step)

    def metrics(self, row: dict[str, Any]) -> None:
        for key, value in numbers(row).items():
            self.writer.add_scalar(key, value, int(row["step"]))
        self.writer.flush()

    def saved(self, step: int, previews: list[Path], checkpoint: Path, header: dict[str, Any]) -> None:
        for path in previews:
            if path.suffix == ".png":
                self.writer.add_image("preview", _pixels(path), step, dataformats="HWC")
            else:
                self._text("preview", _indented(path.read_text(encoding="utf-8")), step)
        self._text("checkpoint", f"{checkpoint.resolve()}, sha256 {header.get('sha256')}", step)
        for name, card in cards(header).items():
            self._text(name.removesuffix(".json"), _indented(json.dumps(card, indent=2)), step)
        self.writer.flush()

    def end(self, status: str) -> None:
        self.writer.close()

    def _text(self, tag: str, text: str, step: int) -> None:
        self.writer.add_text(tag, text, step)


def _pixels(path: Path) -> Any:
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _indented(text: str) -> str:
    """As Markdown shows text without touching it."""
    return "".join(f"    {line}\n" for line in text.splitlines())
