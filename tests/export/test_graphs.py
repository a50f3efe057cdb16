"""The functions that become graphs compute what the engine does, for every schedule, prediction and sampler."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthgen.errors import UsageError
from synthgen.export.graphs import NetworkGraph, SamplerGraph, graphs_of, level_meaning, network_inputs, sampler_inputs
from synthgen.generation.engine import Engine, Recipe

KINDS = [
    ("edm", "edm", True),
    ("linear", "epsilon", False),
    ("linear", "sample", True),
    ("cosine", "v", True),
    ("flow", "v", True),
    ("flow", "epsilon", False),
]


@pytest.mark.parametrize(("schedule", "prediction", "conditional"), KINDS)
def test_the_network_is_the_denoiser_at_any_level(schedule, prediction, conditional, make_model):
    model = make_model(schedule, prediction, conditional=conditional)
    model.denoiser.precision = torch.float32
    inputs = network_inputs(model, 7)
    found = NetworkGraph(model.denoiser)(**inputs)
    alpha, sigma, time = model.schedule.draw((torch.arange(7) + 0.5) / 7)
    expected = model.denoiser(inputs["x"], alpha, sigma, time, inputs.get("labels"))
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)
    assert ("labels" in inputs) == conditional
    assert "level" in level_meaning(model.schedule)


@pytest.mark.parametrize(("schedule", "prediction", "conditional"), KINDS)
@pytest.mark.parametrize("sampler", ["dpm++2m", "ddpm", "heun", "dpm++2m-sde"])
def test_the_sampler_is_the_engine(schedule, prediction, conditional, sampler, make_model):
    """Which computes by another form of the same network: what is left is rounding, and what a sampler makes of it."""
    if sampler == "heun" and schedule in ("linear", "cosine"):
        pytest.skip("four steps of Heun's method multiply rounding by hundreds there")
    model = make_model(schedule, prediction, conditional=conditional)
    model.denoiser.precision = torch.float32
    recipe = Recipe(sampler, steps=4, block_size=3, guidance_scale=1.5 if conditional else 1.0)
    graph = SamplerGraph(model.denoiser, model.codec, recipe)
    with torch.no_grad():
        images, x0 = graph(**sampler_inputs(model, graph.draws, 3))
    engine = Engine(model.denoiser, model.codec, recipe, model.device)
    labels = model.labels_for(0, 3, None)
    atol = 1e-3 if sampler == "heun" else 1e-4
    torch.testing.assert_close(x0, engine.latents(np.arange(3), labels, 0), rtol=0, atol=atol)
    assert np.abs(images.numpy().astype(int) - engine.pixels(np.arange(3), labels, 0)).max() <= 1
    assert graph.calls == engine.network_calls
    assert (graph.draws > 0) == (sampler in ("ddpm", "dpm++2m-sde"))


def test_tables_with_levels_and_noises_of_their_own(make_model):
    """The consistency sampler, which forgets x at every step; learned noise levels."""
    model = make_model("edm", "edm")
    model.denoiser.precision = torch.float32
    for recipe in (Recipe("consistency", 2, block_size=2), Recipe("euler", 2, block_size=2, noise_levels=(60.0, 0.9))):
        graph = SamplerGraph(model.denoiser, model.codec, recipe)
        with torch.no_grad():
            _, x0 = graph(**sampler_inputs(model, graph.draws, 2))
        engine = Engine(model.denoiser, model.codec, recipe, model.device)
        torch.testing.assert_close(x0, engine.latents(np.arange(2), np.array([0, 1]), 0), rtol=0, atol=1e-4)


def test_a_traced_graph_takes_any_batch_and_names_no_file(make_model):
    model = make_model("edm", "edm", conditional=False, patch_size=2)
    model.denoiser.precision = torch.float32
    network, _ = graphs_of(model, model.recipe(steps=1))
    program = network.traced()
    for count in (1, 5):
        inputs = network_inputs(model, count)
        torch.testing.assert_close(program.module()(**inputs), network.run(inputs)["x0"], rtol=0, atol=1e-5)
    traces = [
        node.meta.get("stack_trace")
        for part in program.graph_module.modules()
        if isinstance(part, torch.fx.GraphModule)
        for node in part.graph.nodes
    ]
    assert traces and not any(traces)


def test_what_a_graph_cannot_hold(make_model):
    model = make_model("edm", "edm")
    with pytest.raises(UsageError, match="129 network evaluations are too many"):
        SamplerGraph(model.denoiser, model.codec, Recipe("euler", 129))
    with pytest.raises(UsageError, match="holds one network"):
        SamplerGraph(model.denoiser, model.codec, Recipe(guidance_scale=2.0, autoguidance="0" * 64))
