"""A trained model as a folder that diffusers loads by itself."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch

from synthgen.data.captions import TokenTable
from synthgen.export.card import model_card
from synthgen.export.comparing import compare_images
from synthgen.export.job import CHECKED, Job, Outcome
from synthgen.export.schedulers import SchedulerPlan, plan_scheduler
from synthgen.generation.engine import Recipe
from synthgen.generation.model import Model
from synthgen.models.images import is_cross, unet_arguments
from synthgen.outputs import atomic_write

PIPELINE = ("pipeline", "SynthgenPipeline")
"""File (without `.py`) and class of the pipeline that goes with every export."""

ROUNDING = 1
"""Largest difference in grey levels between two implementations: one, from rounding."""


def plan_for(model: Model, recipe: Recipe) -> SchedulerPlan:
    """The scheduler for a model and a recipe; raises SynthgenError when diffusers has none."""
    plan = plan_scheduler(
        model.schedule,
        model.config.diffusion.prediction,
        model.denoiser.sigma_data,
        recipe,
        conditional=bool(model.class_names),
    )
    # The library's own pipeline hands the network pixels, not patches of them.
    return replace(plan, stock=plan.stock and model.config.model.patch_size == 1)


def write_diffusers(job: Job) -> Outcome:
    """Write the folder, load it as a user would, sample from it and compare."""
    from diffusers import DiffusionPipeline
    from diffusers.utils import logging

    model, recipe, folder = job.images, job.recipe, job.folder
    plan = plan_for(model, recipe)
    write_folder(model, recipe, plan, folder, job.name)
    job.reporter.info(f"loading the export with diffusers and drawing {CHECKED} samples from it")
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        pipe = DiffusionPipeline.from_pretrained(
            str(folder), custom_pipeline=str(folder), trust_remote_code=True, low_cpu_mem_usage=False
        )
    finally:
        if bars:
            logging.enable_progress_bar()
    pipe.set_progress_bar_config(disable=True)
    pipe.to(model.device)
    images = pipe(
        batch_size=CHECKED,
        seed=0,
        num_inference_steps=recipe.steps,
        guidance_scale=recipe.guidance_scale,
        output_type="uint8",
    ).images
    return Outcome(compare_images(model, recipe, np.asarray(images), ROUNDING), scheduler=plan.class_name)


def write_folder(model: Model, recipe: Recipe, plan: SchedulerPlan, folder: Path, usage_name: str) -> None:
    """Write network, scheduler, pipeline, class names and card into `folder`, which must exist.

    usage_name: the folder's name in the card's examples.
    """
    unet = _theirs(model)
    unet.save_pretrained(folder / "unet", safe_serialization=True)
    for weights in (folder / "unet").glob("*.safetensors"):
        weights.chmod(0o644)  # saved readable for the owner alone
    scheduler = getattr(diffusers, plan.class_name)(**plan.config)
    scheduler.save_pretrained(folder / "scheduler")
    _write_json(folder / "model_index.json", _index(model, recipe, plan))
    _write_json(folder / "class_names.json", list(model.class_names))
    source = files("synthgen.export").joinpath("pipeline.py").read_bytes()
    atomic_write(folder / "pipeline.py", source)
    card = model_card(
        model.header, recipe, _usage(model, recipe, plan, usage_name), library="diffusers", limits=_limits(plan)
    )
    atomic_write(folder / "README.md", card.encode())


def _theirs(model: Model) -> Any:
    """diffusers' own class with the model's weights, which have the same names there."""
    shape = (model.codec.height, model.codec.width, model.codec.channels)
    network: Any = model.denoiser.network
    weights = dict(network.unet.state_dict())
    tokens = network.unet.token_embedding
    if tokens is None:
        unet = diffusers.UNet2DModel(**unet_arguments(model.config.model, shape, len(model.class_names)))
    else:
        table = TokenTable(tokens.token.num_embeddings, network.tokens.cpu().numpy())
        unet = diffusers.UNet2DConditionModel(
            **unet_arguments(model.config.model, shape, len(model.class_names), table)
        )
        tables = [weights.pop(f"token_embedding.{part}.weight") for part in ("token", "place")]
        weights["encoder_hid_proj.weight"] = torch.cat(tables).T.contiguous()  # of two ones among zeros
        weights["encoder_hid_proj.bias"] = torch.zeros_like(tables[0][0])
    unet.load_state_dict(weights)
    return unet.eval()


def _tokens(model: Model) -> dict[str, Any]:
    """What the pipeline of a network with cross-attention must know."""
    network: Any = model.denoiser.network
    if network.tokens is None:
        return {}
    words = [] if model.vocabulary is None else list(model.vocabulary.words)
    return {"class_tokens": network.tokens[:-1].tolist(), "vocabulary": words}


def _index(model: Model, recipe: Recipe, plan: SchedulerPlan) -> dict[str, Any]:
    kind = "UNet2DConditionModel" if is_cross(model.config.model) else "UNet2DModel"
    components = {"unet": ["diffusers", kind], "scheduler": ["diffusers", plan.class_name]}
    index = {
        "_class_name": "DDPMPipeline" if plan.stock else list(PIPELINE),
        "_diffusers_version": diffusers.__version__,
        **components,
    }
    if plan.stock:  # the library's pipeline knows no other settings; ours reads what it needs from the scheduler
        return index
    return {
        **index,
        "class_names": list(model.class_names),
        "network_output": plan.network_output,
        "sigma_data": model.denoiser.sigma_data if plan.network_output == "edm" else None,
        "num_inference_steps": recipe.steps,
        "guidance_scale": float(recipe.guidance_scale),
        "guidance_interval": list(recipe.guidance_interval),
        "eta": float(recipe.eta),
        "patch_size": model.config.model.patch_size,
        **_tokens(model),
    }


def _usage(model: Model, recipe: Recipe, plan: SchedulerPlan, name: str) -> str:
    first = model.class_names[0] if model.class_names else None
    kind = "class_labels" if model.vocabulary is None else "prompt"
    asks = "" if first is None else f", {kind}={json.dumps(first, ensure_ascii=False)}"
    steps = f", num_inference_steps={recipe.steps}" if plan.stock else ""
    shard = f"`pipe(batch_size=8, start=8{asks}, seed=0{steps})`"
    command = f"synthgen sample RUN --count 16 --seed 0 --sampler {recipe.sampler} --steps {recipe.steps}"
    flag = "--class" if model.vocabulary is None else "--prompt"
    command += "" if first is None else f" {flag} {shlex.quote(first)}"
    ours = f"""\
```python
from diffusers import DiffusionPipeline

folder = "{name}"
pipe = DiffusionPipeline.from_pretrained(folder, custom_pipeline=folder, trust_remote_code=True)
images = pipe(batch_size=16{asks}, seed=0{steps}).images
```

`pipeline.py` in this folder is the code that runs; it needs diffusers and numpy, not synthgen. Sample k depends on
the weights, the seed and k alone: {shard} draws the
second half of these, and `{command}` the same images.
"""
    if not plan.stock:
        return ours
    return f"""\
```python
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained("{name}")
images = pipe(batch_size=16{steps}).images
```

That is the library's own pipeline, with noise of its own. For the images that synthgen draws:

{ours}"""


def _limits(plan: SchedulerPlan) -> tuple[str, ...]:
    limits = [
        "diffusers computes in float32. Where synthgen chose bf16, `with torch.autocast(device, torch.bfloat16):` "
        "around the call gives the same images up to the rounding of bf16."
    ]
    if plan.network_output is not None:
        limits.append(
            f"The network's output is of kind '{plan.network_output}', which {plan.class_name} does not read: "
            "sample through `pipeline.py`, which turns it into the clean image first."
        )
    if plan.class_name == "DDIMScheduler":
        limits.append("Give a number of steps that divides 1,000: DDIMScheduler is wrong at others (diffusers #11347).")
    return tuple(limits)


def _write_json(path: Path, document: object) -> None:
    atomic_write(path, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
