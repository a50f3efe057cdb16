"""What `--real`, `--fake` and `--synthetic` may name: images from anywhere, or a run that is sampled on the fly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synthgen.data import load_images
from synthgen.data.dataset import ImageData
from synthgen.data.registry import KNOWN_SETS
from synthgen.data.sources import open_source
from synthgen.downstream.leaks import Provenance, provenance, provenance_of_samples
from synthgen.errors import UsageError
from synthgen.reporting import NullReporter, Reporter
from synthgen.runs import list_checkpoints, resolve_run
from synthgen.stopping import ShouldStop, never_stop


@dataclass(frozen=True)
class Synthetic:
    """Images made by a generator. generator: what it was trained on, None when nothing says so."""

    data: ImageData
    generator: Provenance | None


def is_run(source: str) -> bool:
    """Whether `source` means a run or checkpoint, and not images."""
    path = Path(source)
    if path.is_file():
        return path.suffix == ".safetensors"
    if path.is_dir():
        return bool(list_checkpoints(path)) or (path / "model.safetensors").is_file()
    if source.partition(":")[0] in KNOWN_SETS:
        return False
    try:
        resolve_run(source)
    except UsageError:
        return False
    return True


def check_is_images(flag: str, source: str) -> None:
    """Raise UsageError when a model was given where images are needed."""
    if is_run(source):
        raise UsageError(f"{flag} {source} is a model, not images", "give a data set's name, a folder or a file")


def load_synthetic(
    source: str,
    *,
    count: int | None,
    default_count: int,
    seed: int = 0,
    device: str = "auto",
    max_bad: int = 0,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Synthetic:
    """The images that `source` names, or `count` samples of a run (`default_count` when none is given)."""
    reporter = reporter or NullReporter()
    if not is_run(source):
        data = load_images(source, max_bad=max_bad, one_size=True, reporter=reporter, should_stop=should_stop)
        return Synthetic(data, provenance_of_samples(Path(source)))
    from synthgen.generation.model import load_image_model

    model = load_image_model(source, device=device)
    wanted = count or default_count
    reporter.info(f"drawing {wanted:,} samples from {model.path}")
    images = model.sample(wanted, seed=seed, reporter=reporter, should_stop=should_stop)
    data = ImageData(images, model.labels_for(0, wanted, None), model.class_names, f"samples of {source}")
    return Synthetic(data, provenance(model.header.get("data")))


def load_like(
    source: str,
    shape: tuple[int, int, int],
    *,
    split: str = "train",
    max_bad: int = 0,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> ImageData:
    """Real images at the size and with the channels of the synthetic ones, `shape` (H, W, C)."""
    height, width, channels = shape
    return load_images(
        source,
        split=split,
        image_size=(height, width),
        channels=channels,
        max_bad=max_bad,
        reporter=reporter,
        should_stop=should_stop,
    )


def resizing_note(source: str, shape: tuple[int, int, int]) -> str | None:
    """The sentence that says that real images are brought to `shape`; None where they are known to have it."""
    known = KNOWN_SETS.get(source.partition(":")[0])
    if known is not None and known.shape == shape:
        return None
    kind = "grey" if shape[2] == 1 else "RGB"
    return f"the real images of {source} are read at the synthetic images' size: {shape[0]} x {shape[1]} pixels, {kind}"


def has_test_split(source: str, *, reporter: Reporter | None = None, should_stop: ShouldStop = never_stop) -> bool:
    """Whether `source` brings test images of its own."""
    contents = open_source(source, "all", reporter or NullReporter(), should_stop)
    return "test" in contents.about.splits
