"""Which of diffusers' schedulers samples as a recipe of ours does, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from synthgen.diffusion.samplers import build_table
from synthgen.diffusion.schedule import DDPMSchedule, EDMSchedule, NoiseSchedule
from synthgen.errors import SynthgenError
from synthgen.generation.engine import Recipe

_MULTISTEP = {"dpm++2m": ("dpmsolver++", 2), "dpm++2m-sde": ("sde-dpmsolver++", 2), "dpm++3m": ("dpmsolver++", 3)}
_NATIVE = {"epsilon": "epsilon", "v": "v_prediction", "sample": "sample"}
HEUN_GAIN = 50.0
"""Largest factor on a difference of estimates at which float32 rounding was seen to stay within a grey level."""

_ADVICE = "export with --sampler dpm++2m: every noise schedule of synthgen has it in diffusers"


@dataclass(frozen=True)
class SchedulerPlan:
    """A scheduler of diffusers that does what a recipe says.

    class_name, config: the scheduler. network_output: None when it reads the network's output as it is, else what
    the output is, for the pipeline to turn into the clean image. stock: the library's own `DDPMPipeline` can use it.
    """

    class_name: str
    config: dict[str, Any] = field(default_factory=dict)
    network_output: str | None = None
    stock: bool = False


def plan_scheduler(
    schedule: NoiseSchedule, prediction: str, sigma_data: float, recipe: Recipe, *, conditional: bool
) -> SchedulerPlan:
    """The plan for a network and a recipe. Raises SynthgenError saying what diffusers lacks for it."""
    if recipe.sampler == "consistency" or recipe.noise_levels:
        raise SynthgenError(
            "diffusers' schedulers space the noise levels themselves: neither sampler 'consistency' nor levels that "
            "were given or fitted can be told to them",
            "export with another --format, or, levels that were fitted, with another number of --steps",
        )
    if isinstance(schedule, EDMSchedule):
        return _edm(schedule, prediction, sigma_data, recipe)
    # synthgen clamps each of the two estimates that guidance combines, a scheduler their combination
    guided_epsilon = prediction == "epsilon" and recipe.guidance_scale != 1.0
    if isinstance(schedule, DDPMSchedule):
        read = prediction in _NATIVE and not guided_epsilon
        return _ddpm(schedule, prediction, recipe, read=read, conditional=conditional)
    return _flow(prediction, recipe)


def _solver(recipe: Recipe) -> dict[str, Any]:
    """algorithm and order of the DPM-Solver++ that equals the sampler; order 1 is DDIM, or DDPM with noise."""
    if recipe.sampler in _MULTISTEP:
        algorithm, order = _MULTISTEP[recipe.sampler]
    elif _fresh_noise(recipe) == 1.0:
        algorithm, order = "sde-dpmsolver++", 1
    else:
        algorithm, order = "dpmsolver++", 1
    return {
        "algorithm_type": algorithm,
        "solver_order": order,
        "solver_type": "midpoint",
        "lower_order_final": True,
        "final_sigmas_type": "zero",
    }


def _fresh_noise(recipe: Recipe) -> float:
    """Share of fresh noise of the one-step samplers: eta."""
    return {"ddpm": 1.0, "ddim": recipe.eta}.get(recipe.sampler, 0.0)


def _edm(schedule: EDMSchedule, prediction: str, sigma_data: float, recipe: Recipe) -> SchedulerPlan:
    if prediction != "edm":
        raise SynthgenError(
            f"diffusers cannot sample a network trained with prediction '{prediction}' on the edm schedule: its EDM "
            "schedulers read only EDM-preconditioned outputs",
            "train with diffusion.prediction edm, or export with --format safetensors",
        )
    if recipe.sampler == "heun":
        raise SynthgenError("diffusers has no Heun scheduler for EDM's noise levels", _ADVICE)
    if recipe.sampler == "dpm++2m-sde" or _fresh_noise(recipe):
        raise SynthgenError(
            f"diffusers' EDM schedulers draw fresh noise themselves and take none, so that sampler "
            f"'{recipe.sampler}' could not give the same images",
            _ADVICE,
        )
    config = {
        "sigma_min": schedule.sigma_min,
        "sigma_max": schedule.sigma_max,
        "sigma_data": sigma_data,
        "sigma_schedule": "karras",
        "rho": schedule.rho,
        "prediction_type": "epsilon",  # that is how the library calls EDM's own preconditioning
    }
    if recipe.sampler in _MULTISTEP:
        return SchedulerPlan("EDMDPMSolverMultistepScheduler", {**config, **_solver(recipe)})
    return SchedulerPlan("EDMEulerScheduler", {**config, "final_sigmas_type": "zero"})


def _ddpm(schedule: DDPMSchedule, prediction: str, recipe: Recipe, *, read: bool, conditional: bool) -> SchedulerPlan:
    clip = read and prediction == "epsilon"
    output = None if read else prediction
    config: dict[str, Any] = {
        "num_train_timesteps": 1000,
        "beta_start": 1e-4,
        "beta_end": 0.02,
        "beta_schedule": "linear" if schedule.name == "linear" else "squaredcos_cap_v2",
        "prediction_type": _NATIVE[prediction] if read else "sample",
        "timestep_spacing": "trailing",
    }
    clipping = {"clip_sample": clip, "clip_sample_range": 1.0}
    stock = read and not conditional
    if recipe.sampler == "heun":  # its x is scaled by 1 / alpha, which the library's DDPMPipeline does not know
        _check_heun(schedule, recipe)
        return SchedulerPlan("HeunDiscreteScheduler", {**config, **clipping}, output)
    eta = _fresh_noise(recipe)
    if recipe.sampler not in _MULTISTEP and eta == 1.0:
        return SchedulerPlan("DDPMScheduler", {**config, **clipping, "variance_type": "fixed_small"}, output, stock)
    if eta:
        if 1000 % recipe.steps:
            raise SynthgenError(
                f"diffusers' DDIMScheduler steps to wrong levels when {recipe.steps} steps do not divide 1,000 "
                "(diffusers #11347)",
                "export with --steps 10, 20, 25, 40 or 50, or with --sampler dpm++2m",
            )
        return SchedulerPlan("DDIMScheduler", {**config, **clipping, "set_alpha_to_one": True}, output)
    # with a limit of 1 "dynamic thresholding" is a plain clamp to [-1, 1], the only one that this scheduler has
    thresholding = {"thresholding": clip, "sample_max_value": 1.0}
    return SchedulerPlan("DPMSolverMultistepScheduler", {**config, **_solver(recipe), **thresholding}, output, stock)


def _check_heun(schedule: DDPMSchedule, recipe: Recipe) -> None:
    """Refuse steps so long that Heun's correction turns rounding into grey levels."""
    levels = schedule.levels(recipe.steps)
    table = build_table("heun", levels.alphas, levels.sigmas)
    gain = max(abs(value) for row in table.rows for value in row.x0)
    if gain > HEUN_GAIN:
        raise SynthgenError(
            f"with {recipe.steps} steps on the {schedule.name} schedule, Heun's correction multiplies the difference "
            f"of two estimates by up to {gain:,.0f}: rounding alone makes two programs draw different images",
            "export with more --steps, or with --sampler dpm++2m",
        )


def _flow(prediction: str, recipe: Recipe) -> SchedulerPlan:
    if recipe.sampler == "heun":
        raise SynthgenError(
            "diffusers' Heun scheduler for flows steps evenly in t, synthgen's in sigma / alpha: other images", _ADVICE
        )
    eta = _fresh_noise(recipe)
    if 0.0 < eta < 1.0:
        raise SynthgenError(f"diffusers has no DDIM with eta {eta} for flows", _ADVICE)
    read = prediction == "v"
    if read and eta == 0.0 and recipe.sampler not in _MULTISTEP:
        return SchedulerPlan("FlowMatchEulerDiscreteScheduler", {"num_train_timesteps": 1000, "shift": 1.0})
    config = {
        "num_train_timesteps": 1000,
        "use_flow_sigmas": True,
        "flow_shift": 1.0,
        "prediction_type": "flow_prediction" if read else "sample",
    }
    return SchedulerPlan("DPMSolverMultistepScheduler", {**config, **_solver(recipe)}, None if read else prediction)
