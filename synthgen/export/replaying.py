"""Graphs that were written, run again and held against the eager float32 model."""

from __future__ import annotations

import numpy as np
import torch

from synthgen.errors import SynthgenError
from synthgen.export.graphs import Graph, network_inputs, sampler_inputs
from synthgen.export.job import CHECKED, Check
from synthgen.generation.model import Model, load_image_model

LIMIT = 1e-4
"""Largest absolute error of an output, in units of images in [-1, 1]."""

ROUNDING = 1
"""Largest difference of a pixel in grey levels: one, from rounding."""

INPUTS = 16
"""Random inputs of a network that are compared."""


def on_cpu(model: Model) -> Model:
    """The model on the processor that every machine has: a graph carries its device with it."""
    return model if model.device.type == "cpu" else load_image_model(model.path, device="cpu")


def checked_inputs(graph: Graph, model: Model) -> dict[str, torch.Tensor]:
    """What a graph is tried on: another batch size than it was traced with."""
    if graph.name == "network":
        return network_inputs(model, INPUTS)
    return sampler_inputs(model, graph.inputs["fresh"].shape[1] if "fresh" in graph.inputs else 0, CHECKED)


def check_graph(graph: Graph, inputs: dict[str, torch.Tensor], found: dict[str, np.ndarray]) -> Check:
    """The largest error of the float outputs `found`. Raises SynthgenError above `LIMIT`."""
    expected = graph.run(inputs)
    error = max(
        float((torch.from_numpy(found[name]).double() - value.cpu().double()).abs().max())
        for name, value in expected.items()
        if value.is_floating_point()
    )
    if not error <= LIMIT:
        raise SynthgenError(
            f"the {graph.name} does not compute what the model does: its outputs differ by up to {error:.2g}, more "
            f"than {LIMIT:g}",
            "nothing was written; try another --sampler or more --steps, or report this with the run's config.yaml",
        )
    return Check(graph.name, error, LIMIT, len(next(iter(inputs.values()))))
