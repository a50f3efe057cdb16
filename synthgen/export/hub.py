"""A folder for the Hugging Face hub: synthgen's own file, its settings as JSON, and a card with everything known."""

from __future__ import annotations

import json
from typing import Any

from synthgen.checkpoints import Header
from synthgen.export.card import model_card
from synthgen.export.job import Job, Outcome
from synthgen.export.weights import outcome, usage, write_weights
from synthgen.outputs import atomic_write


def write_hub(job: Job) -> Outcome:
    """`model.safetensors`, `config.json` and README.md; nothing is uploaded."""
    again = write_weights(job, public=True)
    header = again.header
    _write(job, "config.json", json.dumps(_config(header), indent=2, ensure_ascii=False) + "\n")
    _write(job, "README.md", model_card(header, job.recipe, usage(job), library="synthgen", metrics=job.metrics))
    return outcome(job, again)


def _write(job: Job, name: str, text: str) -> None:
    atomic_write(job.folder / name, text.encode())


def _config(header: Header) -> dict[str, Any]:
    """What others look up without reading the weights: settings, classes, data, training."""
    names = ("modality", "config", "class_names", "sigma_data", "data", "training", "versions", "weights", "sha256")
    config = {name: header[name] for name in names if name in header}
    image = {"image": header["codec"]} if header.get("modality", "images") == "images" else {}
    return {"model_type": "synthgen", **config, **image}
