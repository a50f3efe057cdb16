"""What every test may use: the real data sets where they are, and the command in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    import pandas as pd

# Before torch is imported: tests share a few cores, and threads beside other work are slower than none.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

settings.register_profile("synthgen", deadline=None, derandomize=True)
settings.load_profile("synthgen")

CHECKOUT = Path(__file__).resolve().parent.parent

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache, and none sees the colours of the terminal it runs in."""
    monkeypatch.setenv("SYNTHGEN_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in ("NO_COLOR", "FORCE_COLOR", "SYNTHGEN_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the full data sets: SYNTHGEN_DATA_DIR, else `shared/data` beside the checkout."""
    named = os.environ.get("SYNTHGEN_DATA_DIR")
    folder = Path(named) if named else CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the full data sets: no folder {folder} (set SYNTHGEN_DATA_DIR)")
    return folder


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run `synthgen` in a process of its own, in an empty folder, with nothing on stdin.

    `cli("config", "list", env={"NO_COLOR": "1"}, cwd=folder)` returns the completed process.
    """

    def run(
        *arguments: object, env: dict[str, str] | None = None, cwd: Path | None = None, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        variables = {name: value for name, value in os.environ.items() if name not in ("TERM", "COLUMNS")}
        return subprocess.run(
            [sys.executable, "-m", "synthgen", *map(str, arguments)],
            env={**variables, "TERM": "xterm-256color", "COLUMNS": "80", **(env or {})},
            cwd=cwd or tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


def interrupted(arguments: list[str], cwd: Path, wait_for: str, signum: signal.Signals) -> tuple[int, str, str]:
    """Start the command, send a signal once `wait_for` stands on stderr, return its exit code and streams."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "synthgen", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if wait_for in line:
            process.send_signal(signum)
            break
    out, rest = process.communicate(timeout=300)
    return process.returncode, out, "".join(lines) + rest


TINY = [
    "model.channels=[8, 16]",
    "model.norm_groups=4",
    "training.batch_size=32",
    "training.learning_rate=0.005",
    "training.precision=fp32",
    "training.checkpoint_every=1h",
    "sampling.steps=6",
    "sampling.block_size=16",
]
"""Settings of a network so small that it trains in seconds; `--set` texts, also for the command line."""


def two_corners(count: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images with an answer: uint8 (count, 8, 8, 1), a bright square top left (class 0) or bottom right (class 1)."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = generator.integers(0, 40, (count, 8, 8, 1), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        corner = slice(0, 4) if label == 0 else slice(4, 8)
        image[corner, corner] = generator.integers(200, 256)
    return images, labels.astype(np.int64)


@pytest.fixture(scope="session")
def corners_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`two_corners` as an npz file with class names `top` and `bottom`."""
    images, labels = two_corners()
    path = tmp_path_factory.mktemp("corners") / "corners.npz"
    np.savez(path, images=images, labels=labels, class_names=np.array(["top", "bottom"]))
    return path


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, corners_npz: Path) -> Path:
    """A run folder: a small class-conditional model of `two_corners`, really trained (300 steps)."""
    from synthgen.config.loading import load_config
    from synthgen.training.run import train

    out = tmp_path_factory.mktemp("runs") / "tiny"
    train(load_config(None, TINY, {"data.source": str(corners_npz), "training.steps": 300}), out, device="cpu")
    return out


HUES = {"red": 0, "green": 1, "blue": 2}


def squares(count: int = 250, seed: int = 0) -> tuple[np.ndarray, list[str], list[str]]:
    """Images with an answer: uint8 (count, 8, 8, 3), a square of a colour left or right, with captions and sides.

    A blue square on the right is never shown.
    """
    generator = np.random.default_rng(seed)
    kinds = [(hue, side) for hue in HUES for side in ("left", "right") if (hue, side) != ("blue", "right")]
    images = generator.integers(0, 40, (count, 8, 8, 3), dtype=np.uint8)
    captions, sides = [], []
    for number, image in enumerate(images):
        hue, side = kinds[number % len(kinds)]
        columns = slice(0, 4) if side == "left" else slice(4, 8)
        image[2:6, columns, HUES[hue]] = generator.integers(200, 256)
        captions.append(f"A {hue} square, on the {side}.")
        sides.append(side)
    return images, captions, sides


@pytest.fixture(scope="session")
def captioned_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`squares` as an image folder with metadata.jsonl: file_name, text and label (the side)."""
    import json

    from PIL import Image

    folder = tmp_path_factory.mktemp("captioned") / "squares"
    folder.mkdir()
    lines = []
    for number, (image, text, side) in enumerate(zip(*squares(), strict=True)):
        Image.fromarray(image).save(folder / f"{number:03d}.png")
        lines.append(json.dumps({"file_name": f"{number:03d}.png", "text": text, "label": side}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def captioned_run(tmp_path_factory: pytest.TempPathFactory, captioned_folder: Path) -> Path:
    """A run folder: a small model that learned `squares` by their captions, really trained (300 steps)."""
    from synthgen.config.loading import load_config
    from synthgen.training.run import train

    out = tmp_path_factory.mktemp("runs") / "captioned"
    settings = [*TINY, "model.conditioning=cross-attention", "model.channels=[24]", "model.norm_groups=8"]
    settings += ["model.attention_head_dim=8", "model.patch_size=2", "training.learning_rate=0.01", "training.seed=1"]
    given = {"data.source": str(captioned_folder), "training.steps": 300, "sampling.card": "never"}
    train(load_config(None, settings, given), out, device="cpu")
    return out


TINY_TABLE = [
    "modality=tables",
    "model.width=48",
    "model.blocks=1",
    "model.embedding=8",
    "model.fine=4",
    "data.bins=16",
    'data.constraints=[{"less_equal": ["low", "high"]}]',
    "training.batch_size=256",
    "training.learning_rate=0.01",
    "training.validation=0.1",
    "training.precision=fp32",
    "training.checkpoint_every=1h",
    "sampling.block_size=64",
]
"""Settings of a table's model so small that it trains in seconds; `--set` texts, also for the command line."""


def people(count: int = 600, seed: int = 0) -> pd.DataFrame:
    """Rows with an answer: `income` is mostly >50K above 45, `city` is missing for a third of the young.

    Columns of every kind: id (identifier), age (integer), weight (number), income, city (categories; two rare cities),
    member (boolean), joined (date), low <= high (numbers), planet (constant).
    """
    import pandas as pd

    generator = np.random.default_rng(seed)
    age = generator.integers(18, 80, count)
    rich = generator.random(count) < np.where(age > 45, 0.9, 0.1)
    city = generator.choice(np.array(["Rome", "Paris", "Zürich, old town"], object), count, p=[0.5, 0.3, 0.2])
    city[:2] = ["Oslo", "Bern"]
    city[2:][(age[2:] < 35) & (generator.random(count - 2) < 0.35)] = None
    low = np.round(generator.gamma(2.0, 10.0, count), 1)
    columns = {
        "id": [f"P{100_000 + 7 * number}" for number in generator.permutation(count)],
        "age": age,
        "weight": np.round(generator.normal(70, 12, count), 2),
        "income": np.where(rich, ">50K", "<=50K"),
        "city": city,
        "member": generator.random(count) < 0.3,
        "joined": pd.Timestamp("2015-03-01") + pd.to_timedelta(generator.integers(0, 3000, count), "D"),
        "low": low,
        "high": np.round(low + generator.exponential(5.0, count), 1),
        "planet": "Earth",
    }
    return pd.DataFrame(columns)


@pytest.fixture(scope="session")
def table_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`people` as a CSV file."""
    path = tmp_path_factory.mktemp("people") / "people.csv"
    people().to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def table_run(tmp_path_factory: pytest.TempPathFactory, table_csv: Path) -> Path:
    """A run folder: a small model of `people`, really trained (200 steps)."""
    from synthgen.config.loading import load_config
    from synthgen.training.run import train

    out = tmp_path_factory.mktemp("runs") / "people"
    flags = {"data.source": str(table_csv), "training.steps": 200}
    train(load_config(None, TINY_TABLE, flags), out, device="cpu")
    return out


TINY_SERIES = [
    "modality=series",
    "data.window=12",
    "data.label=mood",
    "data.test=0.0",
    "model.width=32",
    "model.blocks=1",
    "model.heads=2",
    "training.batch_size=64",
    "training.learning_rate=0.005",
    "training.precision=fp32",
    "training.checkpoint_every=1h",
    "sampling.steps=5",
    "sampling.block_size=16",
]
"""Settings of a model of series so small that it trains in seconds; `--set` texts, also for the command line."""


def sensors(count: int = 60, steps: int = 18, seed: int = 0) -> pd.DataFrame:
    """Sequences with an answer, in long form: `level` is a wave, high in sequences of mood `up` and low in `down`.

    sensor (id), when (hours), site (static category: north or south), level (number; about a tenth missing, in
    stretches), jumps (integers 0 to 4 that follow the level), state (category: idle where the level falls, else busy),
    mood (class).
    """
    import pandas as pd

    generator = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        hours = np.arange(steps) + int(generator.integers(0, 24 * 300))
        up = number % 2 == 0
        level = np.sin(2 * np.pi * hours / 24) + (4.0 if up else -4.0) + 0.1 * generator.normal(size=steps)
        gone = generator.random(steps) < 0.05
        gone |= np.roll(gone, 1)
        falls = np.diff(level, prepend=level[0]) < 0
        rows.append(
            pd.DataFrame(
                {
                    "sensor": f"S{100 + number}",
                    "when": pd.Timestamp("2018-01-01") + pd.to_timedelta(hours, "h"),
                    "site": "north" if number % 3 else "south",
                    "level": np.where(gone, np.nan, np.round(level, 3)),
                    "jumps": np.clip(np.rint(level / 2 + 2), 0, 4).astype(int),
                    "state": np.where(falls, "idle", "busy"),
                    "mood": "up" if up else "down",
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


@pytest.fixture(scope="session")
def series_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`sensors` as a CSV file."""
    path = tmp_path_factory.mktemp("sensors") / "sensors.csv"
    sensors().to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def series_run(tmp_path_factory: pytest.TempPathFactory, series_csv: Path) -> Path:
    """A run folder: a small model of `sensors` with windows of 12 steps, really trained (200 steps)."""
    from synthgen.config.loading import load_config
    from synthgen.training.run import train

    out = tmp_path_factory.mktemp("runs") / "sensors"
    flags = {"data.source": str(series_csv), "training.steps": 200}
    train(load_config(None, TINY_SERIES, flags), out, device="cpu")
    return out


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One torch thread inside the test: sums come out the same, and nobody else is slowed down."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A name for bytes that does not show them: what gzip packs carries the hour, and two workers must see one name."""
    return f"{argname}:{len(val)}B" if isinstance(val, bytes) and not val.isascii() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `cuda` where there is no such GPU."""
    marked = [item for item in items if item.get_closest_marker("cuda")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU"))
