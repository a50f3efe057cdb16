"""A model of images as ONNX graphs: its denoiser, and its whole sampler unrolled."""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from synthgen.errors import SynthgenError, UsageError
from synthgen.export.comparing import compare_images, full_precision
from synthgen.export.graph_card import write_graph_card
from synthgen.export.graphs import Graph, graphs_of
from synthgen.export.job import Job, Outcome
from synthgen.export.replaying import ROUNDING, check_graph, checked_inputs, on_cpu

if TYPE_CHECKING:
    from synthgen.generation.model import Model

_LARGEST = 1_900_000_000
"""Bytes of weights in one file: protocol buffers end at 2 GB."""


def write_onnx(job: Job) -> Outcome:
    """`network.onnx`, `sampler.onnx` and a card; both loaded with onnxruntime and compared with eager float32."""
    model = on_cpu(job.images)
    checks, images = [], np.empty(0)
    with full_precision(model):
        for graph in graphs_of(model, job.recipe):
            job.reporter.info(f"tracing the {graph.name}")
            path = job.folder / f"{graph.name}.onnx"
            _save(graph, path, model)
            job.reporter.info(f"running the {graph.name} with onnxruntime")
            inputs = checked_inputs(graph, model)
            found = _run(path, inputs)
            checks.append(check_graph(graph, inputs, found))
            images = found.get("images", images)
    write_graph_card(job, "onnx")
    return Outcome(compare_images(model, job.recipe, images, ROUNDING), checks=tuple(checks))


def check_onnx() -> None:
    """Raises UsageError when what it takes is not installed."""
    missing = [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]
    if missing:
        raise UsageError(f"the onnx format needs {', '.join(missing)}", 'pip install "synthgen[onnx]"')


def _save(graph: Graph, path: Path, model: Model) -> None:
    """Write the graph, with its meaning in its metadata and without the paths of the machine that traced it."""
    import onnx

    size = sum(tensor.nbytes for tensor in graph.module.state_dict().values())
    if size > _LARGEST:
        raise SynthgenError(f"the weights are {size / 1e9:.1f} GB, and one ONNX file holds 2", "use torch-export")
    with _quietly(), torch.no_grad():
        program: Any = torch.onnx.export(
            graph.traced(),
            dynamo=True,
            verbose=False,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
        )
    proto = program.model_proto
    about = {"checkpoint_sha256": model.sha256, "class_names": json.dumps(model.class_names, ensure_ascii=False)}
    del proto.metadata_props[:]
    for key, text in about.items():
        proto.metadata_props.add(key=key, value=text)
    _tidy(proto.graph)
    for function in proto.functions:
        _tidy(function)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)


def _tidy(graph: Any) -> None:
    """Forget where each node came from; call the first dimension `batch`."""
    del graph.metadata_props[:]
    for node in graph.node:
        del node.metadata_props[:]
    values = chain(getattr(graph, "input", ()), getattr(graph, "output", ()), graph.value_info)
    for value in (value for value in values if hasattr(value, "type")):
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_param"):
                dim.dim_param = re.sub(r"\bs\d+\b", "batch", dim.dim_param)


def _run(path: Path, inputs: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    given = {name: value.numpy() for name, value in inputs.items()}
    return dict(zip(names, session.run(names, given), strict=True))


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporter's remarks on its own progress; errors are raised all the same."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
