"""synthgen's own self-describing file: copied bit for bit, or with its weights in half precision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from synthgen.checkpoints import Header, Tensors, load_checkpoint, save_checkpoint
from synthgen.errors import SynthgenError
from synthgen.export.card import model_card
from synthgen.export.comparing import compare_models
from synthgen.export.job import Job, Outcome
from synthgen.generation.model import Model, load
from synthgen.outputs import atomic_write

if TYPE_CHECKING:
    from synthgen.export.job import AnyModel

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
FILE = "model.safetensors"


def write_safetensors(job: Job) -> Outcome:
    """The file and its card, loaded again and compared."""
    again = write_weights(job)
    card = model_card(again.header, job.recipe, usage(job), library="synthgen")
    atomic_write(job.folder / "README.md", card.encode())
    return outcome(job, again)


def write_weights(job: Job, public: bool = False) -> AnyModel:
    """Write the file and load it. public: without the places of data on this machine, see `without_places`.

    Raises SynthgenError when the checkpoint changed since the model was loaded.
    """
    model, path = job.model, job.folder / FILE
    header, tensors = load_checkpoint(model.path)
    if header["sha256"] != model.sha256:
        raise SynthgenError(f"{model.path} changed while it was being exported", "export it again")
    shown = without_places(header) if public else header
    rounded = job.dtype is not None and stored_dtype(model, tensors) != job.dtype
    if rounded:
        tensors, shown = in_dtype(model, shown, tensors, str(job.dtype))
    if rounded or shown != header:
        save_checkpoint(path, tensors, shown)
    else:
        atomic_write(path, model.path.read_bytes())
    job.reporter.info("loading the file and drawing samples from it")
    return load(path, device=str(model.device))


def without_places(header: Header) -> Header:
    """The header without the places of data on the machine that trained: names of files and folders stay."""
    config = {**header["config"], "data": {**header["config"]["data"]}}
    config["data"]["source"] = _name(config["data"].get("source"))
    for section, key in (("distill", "teacher"), ("start", "model")):
        if isinstance(config.get(section), dict):
            config[section] = {**config[section], key: _name(config[section].get(key))}
    return {**header, "config": config, "data": {**header["data"], "name": _name(header["data"]["name"])}}


def _name(place: Any) -> Any:
    return Path(place).name if isinstance(place, str) else place


def outcome(job: Job, again: AnyModel) -> Outcome:
    """How far the samples of the written file are from the model's: not at all where it is a copy."""
    return Outcome(compare_models(job.model, again, job.recipe, same="weights" not in again.header))


def stored_dtype(model: AnyModel, tensors: Tensors) -> str | None:
    """What the weights are stored as: a key of DTYPES, or None when they are of several types."""
    found = {tensors[name].dtype for name in _weights(model, tensors)}
    return next((name for name, dtype in DTYPES.items() if found == {dtype}), None)


def in_dtype(model: AnyModel, header: Header, tensors: Tensors, dtype: str) -> tuple[Tensors, Header]:
    """Tensors whose weights are of `dtype`, and a header that says so and what they were rounded from.

    Weights alone: what a codec, or a network's fixed part, knows of the data stays as exact as it was. Raises
    SynthgenError for weights that the type cannot hold.
    """
    names = _weights(model, tensors)
    changed = {name: one.to(DTYPES[dtype]) if name in names else one for name, one in tensors.items()}
    lost = [name for name in sorted(names) if not torch.isfinite(changed[name]).all()]
    if lost:
        raise SynthgenError(
            f"{dtype} cannot hold the weights: {lost[0]} reaches {float(tensors[lost[0]].abs().max()):.3g}",
            "export with --dtype bf16, which has the range of fp32",
        )
    return changed, {**header, "weights": {"dtype": dtype, "rounded_from_sha256": header["sha256"]}}


def _weights(model: AnyModel, tensors: Tensors) -> set[str]:
    """The names of the network's parameters, of those that are learned by the gradient."""
    return {name for name, _ in model.denoiser.network.named_parameters()} & tensors.keys()


def usage(job: Job) -> str:
    """Markdown that shows how to sample from the file."""
    command, call = "--count 1000 --out samples.csv", "samples = model.sample(1000, seed=0)"
    if isinstance(job.model, Model):
        command, call = "--count 100 --out samples/", "images = model.sample(16, seed=0)"
    return (
        f"```sh\nsynthgen sample {job.name} {command}\n```\n\n```python\nimport synthgen\n\n"
        f'model = synthgen.load("{job.name}")\n{call}\n```\n\n'
        f"`{FILE}` holds the averaged weights; its header holds everything below as JSON, and a sha256."
    )
