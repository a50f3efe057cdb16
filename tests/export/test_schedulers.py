"""Which scheduler of diffusers stands for which recipe, and what is refused with which reason."""

from __future__ import annotations

import diffusers
import pytest

from synthgen.diffusion.samplers import SAMPLERS
from synthgen.diffusion.schedule import SCHEDULES, build_schedule
from synthgen.errors import SynthgenError
from synthgen.export.schedulers import plan_scheduler
from synthgen.generation.engine import Recipe


def plan(schedule: str, prediction: str, sampler: str, *, conditional: bool = True, **recipe: object):
    made = Recipe(sampler=sampler, **{"steps": 10, **recipe})
    return plan_scheduler(build_schedule(schedule), prediction, 0.5, made, conditional=conditional)


@pytest.mark.parametrize(
    ("schedule", "prediction", "sampler", "expected"),
    [
        ("edm", "edm", "dpm++2m", "EDMDPMSolverMultistepScheduler"),
        ("edm", "edm", "dpm++3m", "EDMDPMSolverMultistepScheduler"),
        ("edm", "edm", "euler", "EDMEulerScheduler"),
        ("edm", "edm", "ddim", "EDMEulerScheduler"),
        ("linear", "epsilon", "ddpm", "DDPMScheduler"),
        ("cosine", "v", "ddim", "DPMSolverMultistepScheduler"),
        ("cosine", "v", "dpm++2m-sde", "DPMSolverMultistepScheduler"),
        ("linear", "v", "heun", "HeunDiscreteScheduler"),
        ("flow", "v", "euler", "FlowMatchEulerDiscreteScheduler"),
        ("flow", "v", "dpm++2m", "DPMSolverMultistepScheduler"),
        ("flow", "edm", "euler", "DPMSolverMultistepScheduler"),
    ],
)
def test_the_scheduler_of_a_recipe(schedule, prediction, sampler, expected):
    assert plan(schedule, prediction, sampler).class_name == expected


def test_ddim_with_some_noise_is_diffusers_ddim():
    assert plan("linear", "epsilon", "ddim", eta=0.5).class_name == "DDIMScheduler"
    assert plan("linear", "epsilon", "ddim", eta=1.0).class_name == "DDPMScheduler"


def test_the_network_is_read_as_it_is_where_diffusers_can():
    for schedule, prediction, native in [
        ("edm", "edm", "epsilon"),
        ("linear", "epsilon", "epsilon"),
        ("cosine", "v", "v_prediction"),
        ("linear", "sample", "sample"),
        ("flow", "v", "flow_prediction"),
    ]:
        made = plan(schedule, prediction, "dpm++2m")
        assert made.network_output is None
        assert made.config["prediction_type"] == native
    for schedule, prediction in [("linear", "edm"), ("flow", "epsilon")]:
        made = plan(schedule, prediction, "dpm++2m")
        assert made.network_output == prediction
        assert made.config["prediction_type"] == "sample"


def test_only_what_the_librarys_own_pipeline_can_sample_is_stock():
    assert plan("linear", "epsilon", "ddpm", conditional=False).stock
    assert plan("cosine", "v", "dpm++2m", conditional=False).stock
    assert not plan("cosine", "v", "dpm++2m", conditional=True).stock
    assert not plan("cosine", "edm", "dpm++2m", conditional=False).stock
    assert not plan("linear", "epsilon", "heun", conditional=False).stock
    assert not plan("edm", "edm", "dpm++2m", conditional=False).stock


@pytest.mark.parametrize(
    ("schedule", "prediction", "sampler", "recipe", "reason"),
    [
        ("edm", "epsilon", "dpm++2m", {}, "read only EDM-preconditioned outputs"),
        ("edm", "edm", "heun", {}, "no Heun scheduler for EDM"),
        ("edm", "edm", "dpm++2m-sde", {}, "draw fresh noise themselves"),
        ("edm", "edm", "ddpm", {}, "draw fresh noise themselves"),
        ("edm", "edm", "ddim", {"eta": 0.5}, "draw fresh noise themselves"),
        ("linear", "epsilon", "ddim", {"eta": 0.5, "steps": 12}, "12 steps do not divide 1,000"),
        ("cosine", "v", "heun", {"steps": 6}, "rounding alone"),
        ("flow", "v", "heun", {}, "steps evenly in t"),
        ("flow", "v", "ddim", {"eta": 0.5}, "no DDIM with eta 0.5"),
    ],
)
def test_what_diffusers_lacks_is_refused_with_the_reason(schedule, prediction, sampler, recipe, reason):
    with pytest.raises(SynthgenError, match=reason) as caught:
        plan(schedule, prediction, sampler, **recipe)
    assert caught.value.hint


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_advice_is_good(schedule):
    """Every refusal names dpm++2m, so that one is never refused for its sampler."""
    prediction = "edm" if schedule == "edm" else "v"
    made = plan(schedule, prediction, "dpm++2m")
    assert getattr(diffusers, made.class_name)(**made.config)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_settings_are_ones_that_the_scheduler_knows(sampler):
    """diffusers ignores unknown settings of a scheduler's file: here they are a mistake."""
    for schedule, prediction in [("edm", "edm"), ("linear", "epsilon"), ("cosine", "edm"), ("flow", "v")]:
        try:
            made = plan(schedule, prediction, sampler, steps=100)
        except SynthgenError:
            continue
        scheduler = getattr(diffusers, made.class_name)(**made.config)
        assert {key: scheduler.config[key] for key in made.config} == made.config


@pytest.mark.parametrize("recipe", [{"sampler": "consistency"}, {"sampler": "dpm++2m", "noise_levels": (80.0, 1.0)}])
def test_levels_of_ones_own_are_refused(recipe):
    with pytest.raises(SynthgenError, match="space the noise levels themselves"):
        plan_scheduler(build_schedule("edm"), "edm", 0.5, Recipe(steps=2, **recipe), conditional=False)
