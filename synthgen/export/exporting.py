"""Export a model, load the result back, and compare its samples with the model's own before saying done."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgen.errors import UsageError, nearest
from synthgen.export.hub import write_hub
from synthgen.export.job import Check, Job, Outcome, Samples
from synthgen.export.weights import DTYPES, write_safetensors
from synthgen.generation.model import Model
from synthgen.outputs import MARKER, check_output, prepare_output, put_folder
from synthgen.reporting import NullReporter, Reporter

if TYPE_CHECKING:
    from synthgen.export.job import AnyModel


def _diffusers(job: Job) -> Outcome:
    from synthgen.export.folder import write_diffusers

    return write_diffusers(job)


def _onnx(job: Job) -> Outcome:
    from synthgen.export.onnx import write_onnx

    return write_onnx(job)


def _torch_export(job: Job) -> Outcome:
    from synthgen.export.torch_export import write_torch_export

    return write_torch_export(job)


@dataclass(frozen=True)
class _Format:
    """write: makes the files in a job's folder. options: of those that not every format has, the ones it takes."""

    write: Callable[[Job], Outcome]
    modalities: tuple[str, ...] = ("images",)
    options: tuple[str, ...] = ()


_ALL = ("images", "tables", "series")
_FORMATS = {
    "diffusers": _Format(_diffusers),
    "safetensors": _Format(write_safetensors, _ALL, ("dtype",)),
    "hub": _Format(write_hub, _ALL, ("dtype", "metrics")),
    "onnx": _Format(_onnx),
    "torch-export": _Format(_torch_export, options=("aot",)),
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


def check_request(
    model: AnyModel, format: str, recipe: Any, *, dtype: str | None = None, metrics: object = None, aot: bool = False
) -> str | None:
    """Everything that can be refused before any work: the scheduler of diffusers that an export would have, or None.

    Raises: UsageError for an unknown format, an option that it has not, one that cannot hold the model or a package
    that is missing; SynthgenError when diffusers cannot represent the model.
    """
    if format not in _FORMATS:
        known = ", ".join(FORMATS)
        raise UsageError(f"unknown format '{format}'{nearest(format, FORMATS)}", f"known formats: {known}")
    given = {"dtype": dtype is not None, "metrics": metrics is not None, "aot": aot}
    for option in (name for name, there in given.items() if there and name not in _FORMATS[format].options):
        able = ", ".join(name for name, one in _FORMATS.items() if option in one.options)
        raise UsageError(f"--{option} is not for {format}", f"formats that take it: {able}")
    if dtype is not None and dtype not in DTYPES:
        known = ", ".join(DTYPES)
        raise UsageError(f"unknown dtype '{dtype}'{nearest(dtype, tuple(DTYPES))}", f"known dtypes: {known}")
    modality = str(model.header.get("modality", "images"))
    if modality not in _FORMATS[format].modalities:
        able = ", ".join(name for name, one in _FORMATS.items() if modality in one.modalities)
        raise UsageError(
            f"{format} is a format for models of images, and this is one of {modality}", f"formats for it: {able}"
        )
    return _check_format(model, format, recipe, aot)


def _check_format(model: AnyModel, format: str, recipe: Any, aot: bool) -> str | None:
    """What the format itself has to say."""
    if format == "diffusers":
        from synthgen.export.folder import plan_for

        assert isinstance(model, Model)
        return plan_for(model, recipe).class_name
    if format in ("onnx", "torch-export"):
        from synthgen.export.graphs import SamplerGraph

        assert isinstance(model, Model)
        SamplerGraph(model.denoiser, model.codec, recipe)
    if format == "onnx":
        from synthgen.export.onnx import check_onnx

        check_onnx()
    if format == "torch-export":
        from synthgen.export.torch_export import check_compiler

        check_compiler(aot)
    return None


def export_model(
    model: AnyModel,
    out: Path,
    *,
    format: str = "diffusers",
    recipe: Any = None,
    dtype: str | None = None,
    metrics: dict[str, Any] | None = None,
    aot: bool = False,
    force: bool = False,
    reporter: Reporter | None = None,
) -> ExportResult:
    """Write `model` to the folder `out` in `format` and verify it.

    Args:
        format: `diffusers` (a folder that diffusers loads), `safetensors` (synthgen's self-describing file), `hub`
            (that file, settings and a full card), `onnx` or `torch-export` (graphs of the network and the sampler).
        recipe: how the export samples unless told otherwise; by default as the model does.
        dtype: fp32, fp16 or bf16, in which synthgen's own file stores the weights; None: as they are. Where that rounds
            them the samples differ, and the result says how much.
        metrics: for the card of `hub`, see `synthgen.export.quality.read_metrics`. aot: `torch-export` compiles too.
        force: replace an earlier result.
    Raises: UsageError for a wrong format or an existing `out`; SynthgenError when diffusers cannot represent the
        model, or the export does not reproduce its samples. Nothing is left at `out` then.
    """
    recipe = recipe or model.recipe()
    check_request(model, format, recipe, dtype=dtype, metrics=metrics, aot=aot)
    check_output(out, force=force)
    place = out.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    try:
        prepare_output(building)
        job = Job(model, recipe, building, place.name, dtype, metrics, aot, reporter or NullReporter())
        outcome = _FORMATS[format].write(job)
        put_folder(building, place)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return _result(out, format, job, outcome)


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
