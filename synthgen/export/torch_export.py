"""A model of images as programs of torch.export: its denoiser, its whole sampler, and compiled ones beside them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from synthgen.errors import SynthgenError, UsageError
from synthgen.export.comparing import compare_images, full_precision
from synthgen.export.graph_card import write_graph_card
from synthgen.export.graphs import Graph, graphs_of
from synthgen.export.job import Check, Job, Outcome
from synthgen.export.replaying import ROUNDING, check_graph, checked_inputs, on_cpu
from synthgen.generation.model import Model

AOT_CALLS = 4
"""Network evaluations up to which an unrolled sampler is compiled too: compilers take minutes for longer ones."""

_REPLAY = """
import json, sys
import torch
from safetensors.torch import load_file, save_file

for program, inputs, outputs, compiled in json.loads(sys.argv[1]):
    if compiled:
        call = torch._inductor.aoti_load_package(program)
    else:
        call = torch.export.load(program).module()
    with torch.no_grad():
        found = call(**load_file(inputs))
    found = found if isinstance(found, (tuple, list)) else [found]
    save_file({str(i): tensor.contiguous() for i, tensor in enumerate(found)}, outputs)
"""
"""Run in a process of its own, where nothing of synthgen is imported. It reads what was written a moment ago here:
`torch.export.load` obeys a pickle where a file has one, and must never be given a file from strangers."""


def write_torch_export(job: Job) -> Outcome:
    """`network.pt2`, `sampler.pt2` and a card; with `aot`, `network-aot.pt2` too. All run in a fresh process."""
    model = on_cpu(job.images)
    with full_precision(model), tempfile.TemporaryDirectory(prefix="synthgen-") as place:
        graphs = graphs_of(model, job.recipe)
        written = [entry for graph in graphs for entry in _write(job, graph)]
        job.reporter.info("running them in a process of their own")
        found = _replay(written, model, Path(place))
        checks = [_check(graph, path, model, outputs) for (graph, path), outputs in zip(written, found, strict=True)]
        images = next(
            outputs["images"] for (graph, _), outputs in zip(written, found, strict=True) if graph is graphs[1]
        )
    write_graph_card(job, "torch-export")
    return Outcome(compare_images(model, job.recipe, images.numpy(), ROUNDING), checks=tuple(checks))


def check_compiler(aot: bool) -> None:
    """Raises UsageError when compiled programs are asked for and there is no compiler."""
    from torch._inductor import config

    if not aot:
        return
    names = [name for name in config.cpp.cxx if name]
    if not any(shutil.which(name) for name in names):
        raise UsageError(
            f"--aot compiles, and there is no C++ compiler here ({', '.join(names)})",
            "install one (Debian: apt-get install g++), or leave out --aot",
        )


def _write(job: Job, graph: Graph) -> list[tuple[Graph, Path]]:
    """The files of a graph."""
    job.reporter.info(f"tracing the {graph.name}")
    program = graph.traced()
    path = job.folder / f"{graph.name}.pt2"
    paths = [path]
    if job.aot and (graph.name == "network" or graph.module.calls <= AOT_CALLS):  # type: ignore[operator]
        job.reporter.info(f"compiling the {graph.name}, which takes a minute or more")
        paths.append(path.with_name(f"{graph.name}-aot.pt2"))
        torch._inductor.aoti_compile_and_package(program, package_path=str(paths[-1]))
    program.example_inputs = None  # they would be the one pickle in the file
    torch.export.save(program, path)
    return [(graph, written) for written in paths]


def _replay(written: list[tuple[Graph, Path]], model: Model, place: Path) -> list[dict[str, torch.Tensor]]:
    """The outputs of every file on the inputs that it is tried on, computed by a fresh process."""
    tasks = []
    for index, (graph, path) in enumerate(written):
        inputs, outputs = place / f"inputs-{index}.safetensors", place / f"outputs-{index}.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in checked_inputs(graph, model).items()}, inputs)
        tasks.append((str(path), str(inputs), str(outputs), path.stem.endswith("-aot")))
    done = subprocess.run(
        [sys.executable, "-c", _REPLAY, json.dumps(tasks)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise SynthgenError(f"a fresh process could not run the exported programs: {reason}")
    found = []
    for (graph, _), task in zip(written, tasks, strict=True):
        tensors = load_file(task[2])
        found.append({name: tensors[str(index)] for index, name in enumerate(graph.outputs)})
    return found


def _check(graph: Graph, path: Path, model: Model, outputs: dict[str, Any]) -> Check:
    arrays = {name: tensor.numpy() for name, tensor in outputs.items()}
    found = check_graph(graph, checked_inputs(graph, model), arrays)
    return Check(path.stem, found.error, found.limit, found.inputs)
