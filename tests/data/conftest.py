"""Pictures, folders and a reporter that remembers, for the tests of the data room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthgen.data import locations

WritePicture = Callable[..., np.ndarray]


class Recorder:
    """A reporter that remembers what it was told."""

    def __init__(self) -> None:
        self.infos: list[str] = []
        self.warnings: list[str] = []
        self.updates: list[float] = []

    def info(self, message: str) -> None:
        self.infos.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    @contextmanager
    def progress(self, label: str, total: float | None, unit: str) -> Iterator[Recorder]:
        yield self

    def update(self, completed: float, **fields: str) -> None:
        self.updates.append(completed)

    def preview(self, image: np.ndarray, caption: str, path: Path | None) -> None:
        raise AssertionError("the data room shows no pictures")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def picture() -> WritePicture:
    """Write a picture of noise, lossless, and return its pixels: `picture(path, height=8, width=8, mode="RGB")`."""
    generator = np.random.default_rng(0)

    def write(path: Path, height: int = 8, width: int = 8, mode: str = "RGB") -> np.ndarray:
        shape = (height, width, 3) if mode == "RGB" else (height, width)
        pixels = generator.integers(0, 256, shape, dtype=np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return pixels

    return write


@pytest.fixture
def classes_folder(tmp_path: Path, picture: WritePicture) -> tuple[Path, dict[str, np.ndarray]]:
    """Classes 2 and 10 with three RGB images each of 8 x 8; returns the folder and pixels by relative name."""
    root = tmp_path / "numbers"
    names = [f"{label}/{stem}.png" for label in ("2", "10") for stem in ("a", "b", "c")]
    return root, {name: picture(root / name) for name in names}


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data folder and an empty cache; returns the cache."""
    monkeypatch.delenv("SYNTHGEN_DATA_DIR", raising=False)
    monkeypatch.setenv("SYNTHGEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(locations, "checkout_data", lambda: None)
    return tmp_path / "cache"
