"""The card of a folder with graphs: what goes in, what comes out, and programs that use them."""

from __future__ import annotations

import ast
from importlib.resources import files

from synthgen.export.card import model_card
from synthgen.export.graphs import SamplerGraph, level_meaning
from synthgen.export.job import Job
from synthgen.generation.model import Model
from synthgen.outputs import atomic_write

_OURS = """\
That is noise of numpy's. For the images that `synthgen sample` draws, to within a grey level, number the noise as it
does:

```python
import numpy as np


{noise}


keys = range(16)
noise = philox_noise(0, keys, {shape}, 0)  # seed 0
{fresh}```
"""


def write_graph_card(job: Job, format: str) -> None:
    """README.md of an `onnx` or `torch-export` folder."""
    model, name = job.images, job.name
    sampler = SamplerGraph(model.denoiser, model.codec, job.recipe)
    usage = "\n".join(
        [
            *_table(model, sampler, format),
            "```python",
            *(_onnx(model, sampler, name) if format == "onnx" else _torch(model, sampler, name)),
            "```",
            "",
            _ours(model, sampler),
        ]
    )
    limits = [f"The sampler is fixed: {sampler.calls} network evaluations for each image, at float32."]
    if format == "torch-export":
        limits.append(
            "`torch.export.load` runs whatever a hostile file tells it to: load files of people you trust. synthgen "
            "reads none. These files hold no pickle."
        )
        if job.aot:
            limits.append("The files `*-aot.pt2` are machine code of one kind of processor and one version of torch.")
    library = "onnx" if format == "onnx" else "pytorch"
    card = model_card(model.header, job.recipe, usage, library=library, limits=tuple(limits))
    atomic_write(job.folder / "README.md", card.encode())


def _table(model: Model, sampler: SamplerGraph, format: str) -> list[str]:
    codec, suffix = model.codec, "onnx" if format == "onnx" else "pt2"
    image = f"batch, {codec.channels}, {codec.height}, {codec.width}"
    classes = len(model.class_names)
    labels = ", labels (batch)" if classes else ""
    fresh = f", fresh (batch, {sampler.draws}, {image.removeprefix('batch, ')})" if sampler.draws else ""
    lines = [
        "| file | in | out |",
        "|---|---|---|",
        f"| `sampler.{suffix}` | noise ({image}){labels}{fresh} | images uint8 (batch, {codec.height}, {codec.width}, "
        f"{codec.channels}); x0, the same as float32 ({image}) in [-1, 1] |",
        f"| `network.{suffix}` | x ({image}), level (batch){labels} | x0 ({image}), the mean of the clean image |",
        "",
        f"noise{' and fresh are' if sampler.draws else ' is'} standard normal, float32. For the network "
        f"{level_meaning(model.schedule)}."
        + (f" labels are int64, 0 to {classes - 1}; the network also takes {classes}: no class." if classes else ""),
        "",
    ]
    return lines


def _arrays(model: Model, sampler: SamplerGraph) -> tuple[list[str], str]:
    """Lines that draw the inputs with numpy, and the inputs by name."""
    codec = model.codec
    image = f"{codec.channels}, {codec.height}, {codec.width}"
    lines = [
        "rng = np.random.default_rng(0)",
        f'inputs = {{"noise": rng.standard_normal((16, {image}), dtype=np.float32)}}',
    ]
    if model.class_names:
        lines.append(f'inputs["labels"] = np.arange(16) % {len(model.class_names)}')
    if sampler.draws:
        lines.append(f'inputs["fresh"] = rng.standard_normal((16, {sampler.draws}, {image}), dtype=np.float32)')
    return lines, f"uint8 (16, {codec.height}, {codec.width}, {codec.channels})"


def _onnx(model: Model, sampler: SamplerGraph, name: str) -> list[str]:
    lines, shape = _arrays(model, sampler)
    return [
        "import numpy as np",
        "import onnxruntime",
        "",
        *lines,
        f'sampler = onnxruntime.InferenceSession("{name}/sampler.onnx")',
        f'images = sampler.run(["images"], inputs)[0]  # {shape}',
    ]


def _torch(model: Model, sampler: SamplerGraph, name: str) -> list[str]:
    lines, shape = _arrays(model, sampler)
    return [
        "import numpy as np",
        "import torch",
        "",
        *lines,
        f'sampler = torch.export.load("{name}/sampler.pt2").module()',
        "images, x0 = sampler(**{name: torch.from_numpy(value) for name, value in inputs.items()})",
        f"images = images.numpy()  # {shape}",
    ]


def _ours(model: Model, sampler: SamplerGraph) -> str:
    codec, draws = model.codec, sampler.draws
    shape = f"({codec.channels}, {codec.height}, {codec.width})"
    fresh = f"fresh = np.stack([philox_noise(0, keys, {shape}, i + 1) for i in range({draws})], 1)\n" if draws else ""
    return _OURS.format(noise=_source_of_noise(), shape=shape, fresh=fresh)


def _source_of_noise() -> str:
    """The function of the pipeline that goes with exports to diffusers, read and not imported: that library is slow."""
    source = files("synthgen.export").joinpath("pipeline.py").read_text(encoding="utf-8")
    (function,) = (node for node in ast.parse(source).body if getattr(node, "name", "") == "philox_noise")
    return ast.get_source_segment(source, function) or ""
