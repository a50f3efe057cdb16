"""Export a model, load the result back, and compare its samples with the model's own before saying done."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgen.errors import UsageError, nearest
from synthgen.export.job import Check, Job, Outcome, Samples
from synthgen.export.weights import DTYPES, write_safetensors
from synthgen.generation.model import Model
from synthgen.outputs import MARKER, check_output, prepare_output
from synthgen.reporting import NullReporter, Reporter

if TYPE_CHECKING:
    from synthgen.export.job import AnyModel


def _diffusers(job: Job) -> Outcome:
    from synthgen.export.folder import write_diffusers

    return write_diffusers(job)


@dataclass(frozen=True)
class _Format:
    """write: makes the files in a job's folder. dtypes: whether weights may be rounded."""

    write: Callable[[Job], Outcome]
    modalities: tuple[str, ...] = ("images",)
    dtypes: bool = False


_ALL = ("images", "tables", "series")
_FORMATS = {
    "diffusers": _Format(_diffusers),
    "safetensors": _Format(write_safetensors, _ALL, dtypes=True),
}
FORMATS = tuple(_FORMATS)


@dataclass(frozen=True)
class ExportResult:
    """What was written, and how far its samples are from the model's own.

    dtype: what weights were rounded to, None: to nothing. samples: how far the export's are from the model's own.
    checks: of graphs, on random inputs.
    """

    path: Path
    format: str
    source: Path
    files: tuple[str, ...]
    size_bytes: int
    dtype: str | None
    scheduler: str | None
    samples: Samples
    checks: tuple[Check, ...]

    @property
    def max_difference(self) -> float:
        """The largest difference of a sample's values, in `samples.unit`: of images a whole number of grey levels."""
        largest = self.samples.largest
        return int(largest) if self.samples.unit == "grey levels" else largest

    @property
    def differing_pixels(self) -> int:
        """How many values of the samples differ at all, of `checked_pixels`."""
        return self.samples.differing

    @property
    def checked_pixels(self) -> int:
        """How many values were compared."""
        return self.samples.compared

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        about = asdict(self)
        return {
            "out": str(about.pop("path")),
            **about,
            "source": str(self.source),
            "files": list(self.files),
            "max_difference": self.max_difference,
            "differing_pixels": self.differing_pixels,
            "checked_pixels": self.checked_pixels,
        }


def planned_scheduler(model: AnyModel, format: str, recipe: Any, dtype: str | None = None) -> str | None:
    """The scheduler of diffusers that an export would have; None for a format without one.

    Raises: UsageError for an unknown format or one that cannot hold the model, SynthgenError when diffusers cannot
    represent the model.
    """
    _check_request(model, format, dtype)
    if format != "diffusers":
        return None
    from synthgen.export.folder import plan_for

    assert isinstance(model, Model)
    return plan_for(model, recipe).class_name


def _check_request(model: AnyModel, format: str, dtype: str | None) -> None:
    if format not in _FORMATS:
        known = ", ".join(FORMATS)
        raise UsageError(f"unknown format '{format}'{nearest(format, FORMATS)}", f"known formats: {known}")
    about, modality = _FORMATS[format], str(model.header.get("modality", "images"))
    able = ", ".join(name for name, one in _FORMATS.items() if modality in one.modalities)
    if modality not in about.modalities:
        raise UsageError(f"{format} is a format for models of images, and this is one of {modality}", f"it has: {able}")
    if dtype is not None and dtype not in DTYPES:
        raise UsageError(
            f"unknown dtype '{dtype}'{nearest(dtype, tuple(DTYPES))}", f"known dtypes: {', '.join(DTYPES)}"
        )
    if dtype is not None and not about.dtypes:
        rounding = ", ".join(name for name, one in _FORMATS.items() if one.dtypes)
        raise UsageError(f"--dtype is for weights of synthgen's own file, not for {format}", f"formats: {rounding}")


def export_model(
    model: AnyModel,
    out: Path,
    *,
    format: str = "diffusers",
    recipe: Any = None,
    dtype: str | None = None,
    force: bool = False,
    reporter: Reporter | None = None,
) -> ExportResult:
    """Write `model` to the folder `out` in `format` and verify it.

    Args:
        format: `diffusers` (a folder that diffusers loads) or `safetensors` (synthgen's self-describing file).
        recipe: how the export samples unless told otherwise; by default as the model does.
        dtype: fp32, fp16 or bf16, in which synthgen's own file stores the weights; None: as they are. Where that rounds
            them the samples differ, and the result says how much.
        force: replace an earlier result.
    Raises: UsageError for a wrong format or an existing `out`; SynthgenError when diffusers cannot represent the
        model, or the export does not reproduce its samples. Nothing is left at `out` then.
    """
    recipe = recipe or model.recipe()
    planned_scheduler(model, format, recipe, dtype)
    check_output(out, force=force)
    place = out.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    try:
        prepare_output(building)
        job = Job(model, recipe, building, place.name, dtype, reporter or NullReporter())
        outcome = _FORMATS[format].write(job)
        _put(building, place)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return _result(out, format, job, outcome)


def _put(building: Path, place: Path) -> None:
    """Move the finished files to their place; what was there goes only now. The folder itself stays if it is there."""
    if place.is_file():
        place.unlink()
    place.mkdir(exist_ok=True)
    for old in place.iterdir():
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    for new in building.iterdir():
        new.rename(place / new.name)


def _result(out: Path, format: str, job: Job, outcome: Outcome) -> ExportResult:
    written = sorted(path for path in out.rglob("*") if path.is_file() and path.name != MARKER)
    return ExportResult(
        path=out,
        format=format,
        source=job.model.path,
        files=tuple(path.relative_to(out).as_posix() for path in written),
        size_bytes=sum(path.stat().st_size for path in written),
        dtype=job.dtype,
        scheduler=outcome.scheduler,
        samples=outcome.samples,
        checks=outcome.checks,
    )
