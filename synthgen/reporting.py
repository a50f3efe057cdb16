"""How the core tells its caller what it is doing, without knowing of a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np


class Progress(Protocol):
    """One running piece of work."""

    def update(self, completed: float, **fields: str) -> None:
        """Set the amount done so far; `fields` are short texts to show beside it (`loss="0.12"`)."""


class Reporter(Protocol):
    """Receives what the core has to say. Every method returns at once and never raises."""

    def info(self, message: str) -> None:
        """One sentence of news."""

    def warn(self, message: str) -> None:
        """One sentence that the user should act on or know."""

    def progress(self, label: str, total: float | None, unit: str) -> AbstractContextManager[Progress]:
        """Open a progress line: `total` in `unit` (None: unknown length)."""

    def preview(self, image: np.ndarray, caption: str, path: Path | None) -> None:
        """Show a picture, uint8 (H, W, C); `path` is where it was saved, if it was."""


class _NullProgress:
    def update(self, completed: float, **fields: str) -> None:
        return None


class NullReporter:
    """A reporter that says nothing: the default of every core function."""

    def info(self, message: str) -> None:
        return None

    def warn(self, message: str) -> None:
        return None

    @contextmanager
    def progress(self, label: str, total: float | None, unit: str) -> Iterator[Progress]:
        yield _NullProgress()

    def preview(self, image: np.ndarray, caption: str, path: Path | None) -> None:
        return None
