"""Exports loaded back: diffusers draws the same images; nothing half done is left; what is there is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDPMPipeline, DiffusionPipeline, EDMDPMSolverMultistepScheduler, UNet2DModel
from diffusers.pipelines.ddpm import pipeline_ddpm

from synthgen.errors import SynthgenError, UsageError
from synthgen.export import comparing
from synthgen.export.exporting import export_model
from synthgen.generation.model import load
from synthgen.generation.noise import noise

KINDS = [
    ("edm", "edm", True),
    ("edm", "edm", False),
    ("linear", "epsilon", False),
    ("linear", "sample", True),
    ("cosine", "v", True),
    ("cosine", "edm", True),
    ("flow", "v", True),
    ("flow", "epsilon", False),
]


def greys(one, other):
    return int(np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).max())


def load_pipeline(folder):
    pipe = DiffusionPipeline.from_pretrained(
        str(folder), custom_pipeline=str(folder), trust_remote_code=True, low_cpu_mem_usage=False
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def test_diffusers_draws_the_same_images_from_patches(make_model, tmp_path):
    model = make_model("linear", "epsilon", conditional=False, patch_size=2)
    result = export_model(model, tmp_path / "out", recipe=model.recipe(sampler="ddpm", steps=7))
    assert result.max_difference <= 1
    images = load_pipeline(tmp_path / "out")(batch_size=4, seed=3, num_inference_steps=7, output_type="uint8").images
    assert greys(images, model.sample(4, seed=3, sampler="ddpm", steps=7)) <= 1


@pytest.mark.parametrize(("schedule", "prediction", "conditional"), KINDS)
def test_diffusers_draws_the_same_images(schedule, prediction, conditional, make_model, tmp_path):
    """With every sampler that diffusers has for the model; the reference is `model.sample`, not the export's check."""
    model = make_model(schedule, prediction, conditional=conditional)
    samplers = ["dpm++2m", "dpm++3m", "euler", "ddim"]
    samplers += ["ddpm", "dpm++2m-sde"] if schedule != "edm" else []
    samplers += ["heun"] if schedule == "linear" else []
    for sampler in samplers:
        out = tmp_path / sampler
        result = export_model(model, out, recipe=model.recipe(sampler=sampler, steps=7))
        assert result.max_difference <= 1
        assert result.checked_pixels == 8 * 8 * 8
        images = load_pipeline(out)(batch_size=10, seed=3, num_inference_steps=7, output_type="uint8").images
        assert greys(images, model.sample(10, seed=3, sampler=sampler, steps=7)) <= 1, sampler


def test_ddim_with_half_of_the_noise(make_model, tmp_path):
    model = make_model("linear", "epsilon", conditional=False)
    export_model(model, tmp_path / "out", recipe=model.recipe(sampler="ddim", steps=10, eta=0.5))
    pipe = load_pipeline(tmp_path / "out")
    images = pipe(batch_size=4, output_type="uint8", num_inference_steps=10).images
    assert greys(images, model.sample(4, sampler="ddim", steps=10, eta=0.5)) <= 1
    with pytest.raises(ValueError, match="divides 1000"):
        pipe(num_inference_steps=12)


@pytest.mark.parametrize(("schedule", "prediction"), [("edm", "edm"), ("linear", "epsilon"), ("flow", "v")])
def test_guidance_goes_along(schedule, prediction, make_model, tmp_path):
    model = make_model(schedule, prediction)
    export_model(model, tmp_path / "out", recipe=model.recipe(guidance_scale=2.5, steps=6))
    images = load_pipeline(tmp_path / "out")(batch_size=4, output_type="uint8").images
    assert greys(images, model.sample(4, guidance_scale=2.5, steps=6)) <= 1
    assert greys(images, model.sample(4, steps=6)) > 1


def test_the_parts_are_plain_diffusers(make_model, tmp_path):
    """The usual loop of that library over unet/ and scheduler/, without any code of ours."""
    model = make_model("edm", "edm")
    export_model(model, tmp_path / "out", recipe=model.recipe(steps=6))
    unet = UNet2DModel.from_pretrained(tmp_path / "out" / "unet", low_cpu_mem_usage=False)
    scheduler = EDMDPMSolverMultistepScheduler.from_pretrained(tmp_path / "out" / "scheduler")
    scheduler.set_timesteps(6)
    x = torch.from_numpy(noise(0, np.arange(4), (1, 8, 8))) * scheduler.sigmas[0]
    with torch.no_grad():
        for t in scheduler.timesteps:
            output = unet(scheduler.scale_model_input(x, t), t, class_labels=torch.tensor([0, 1, 0, 1])).sample
            x = scheduler.step(output, t, x).prev_sample
    images = model.codec.decode(x).numpy()
    assert greys(images, model.sample(4, steps=6)) <= 1


@pytest.mark.parametrize("sampler", ["dpm++2m", "ddpm"])
def test_an_unconditional_export_needs_no_code_of_ours(sampler, make_model, tmp_path, monkeypatch):
    """The library's own DDPMPipeline, handed our noise, draws our images."""
    model = make_model("linear", "epsilon", conditional=False)
    export_model(model, tmp_path / "out", recipe=model.recipe(sampler=sampler, steps=8))
    (tmp_path / "out" / "pipeline.py").unlink()
    pipe = DiffusionPipeline.from_pretrained(str(tmp_path / "out"), low_cpu_mem_usage=False)
    assert type(pipe) is DDPMPipeline
    pipe.set_progress_bar_config(disable=True)
    drawn = []

    def ours(shape, **_):
        drawn.append(torch.from_numpy(noise(0, np.arange(shape[0]), tuple(shape[1:]), len(drawn))))
        return drawn[-1]

    for module in (pipeline_ddpm, sys.modules[type(pipe.scheduler).__module__]):
        monkeypatch.setattr(module, "randn_tensor", ours)
    images = pipe(batch_size=4, num_inference_steps=8, output_type="np").images
    assert greys(np.round(images * 255), model.sample(4, sampler=sampler, steps=8)) <= 1


@pytest.mark.slow
def test_another_process_samples_without_synthgen(make_model, tmp_path):
    model = make_model("edm", "edm")
    export_model(model, tmp_path / "out", recipe=model.recipe(steps=6))
    script = (
        "import sys, numpy\n"
        "from diffusers import DiffusionPipeline\n"
        "pipe = DiffusionPipeline.from_pretrained('out', custom_pipeline='./out', trust_remote_code=True)\n"
        "numpy.save('images.npy', pipe(batch_size=4, seed=5, class_labels='bottom', output_type='uint8').images)\n"
        "assert not [name for name in sys.modules if name.startswith('synthgen')]\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert greys(np.load(tmp_path / "images.npy"), model.sample(4, labels="bottom", seed=5, steps=6)) <= 1


def test_autocast_gives_the_images_of_bf16(make_model, tmp_path):
    """As the card says: synthgen's own bf16 is torch.autocast around the network, up to the rounding of bf16."""
    model = make_model("linear", "v")
    export_model(model, tmp_path / "out", recipe=model.recipe(steps=6))
    assert model.denoiser.precision == torch.float32
    exact = model.sample(4, steps=6).astype(int)
    model.denoiser.precision = torch.bfloat16
    model._engine.cache_clear()  # engines are kept for the next call
    with torch.autocast("cpu", torch.bfloat16):
        images = np.asarray(load_pipeline(tmp_path / "out")(batch_size=4, output_type="uint8").images).astype(int)
    ours = model.sample(4, steps=6).astype(int)
    rounding = np.abs(images - exact).mean()
    assert 0 < np.abs(ours - exact).mean() < 1.5 * rounding and np.abs(ours - images).mean() < 2 * rounding < 10


def test_a_model_that_samples_in_bf16_is_compared_in_float32(make_model, tmp_path):
    model = make_model("edm", "edm")
    model.denoiser.precision = torch.bfloat16
    assert export_model(model, tmp_path / "out").max_difference <= 1
    assert model.denoiser.precision == torch.bfloat16


def test_the_files_and_the_card(make_model, tmp_path):
    result = export_model(make_model("cosine", "edm"), tmp_path / "out")
    assert set(result.files) == {
        "README.md",
        "class_names.json",
        "model_index.json",
        "pipeline.py",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
    }
    assert json.loads((tmp_path / "out" / "class_names.json").read_text()) == ["top", "bottom"]
    card = (tmp_path / "out" / "README.md").read_text()
    for said in ("corners.npz", "top, bottom", "| images | 256 |", "does not read", "Licence", 'class_labels="top"'):
        assert said in card
    assert str(tmp_path.parent) not in card  # no place on the machine where it was trained
    modes = {path.stat().st_mode & 0o044 for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert modes == {0o044}


def test_safetensors_is_the_same_model_bit_for_bit(make_model, tmp_path):
    model = make_model("edm", "edm")
    result = export_model(model, tmp_path / "out", format="safetensors")
    assert (result.max_difference, result.differing_pixels, result.scheduler) == (0, 0, None)
    assert result.files == ("README.md", "model.safetensors")
    again = load(tmp_path / "out")
    assert again.sha256 == model.sha256
    assert np.array_equal(again.sample(5, seed=2), model.sample(5, seed=2))
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == model.path.read_bytes()


def test_safetensors_of_a_file_damaged_since_loading_is_refused(make_model, tmp_path):
    model = make_model("edm", "edm")
    copy = tmp_path / "copy.safetensors"
    content = bytearray(model.path.read_bytes())
    copy.write_bytes(content)
    model = load(copy, device="cpu")
    content[-5] ^= 1
    copy.write_bytes(content)
    with pytest.raises(SynthgenError, match="damaged"):
        export_model(model, tmp_path / "out", format="safetensors")
    assert not (tmp_path / "out").exists()


def test_an_export_that_does_not_reproduce_the_model_is_no_export(make_model, tmp_path, monkeypatch):
    """And what was there stays, even with force."""
    model = make_model("edm", "edm")
    export_model(model, tmp_path / "out", format="safetensors")
    draw = comparing.draw
    monkeypatch.setattr(comparing, "draw", lambda *given: draw(*given) ^ 8)
    with pytest.raises(SynthgenError, match="differ by up to 8 grey levels"):
        export_model(model, tmp_path / "out", force=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".synthgen", "README.md", "model.safetensors"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_difference_of_one_is_too_much_for_a_copy(make_model, tmp_path, monkeypatch):
    model = make_model("edm", "edm")
    answers = iter([np.zeros((8, 8, 8, 1), np.uint8), np.ones((8, 8, 8, 1), np.uint8)])
    monkeypatch.setattr(comparing, "draw", lambda *given: next(answers))
    with pytest.raises(SynthgenError, match="up to 1 grey levels"):
        export_model(model, tmp_path / "out", format="safetensors")


def test_what_is_there_is_kept_unless_forced(make_model, tmp_path):
    model = make_model("edm", "edm")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    for force in (False, True):
        with pytest.raises(UsageError, match=r"exists already|not made by synthgen"):
            export_model(model, mine, force=force)
    assert (mine / "thesis.txt").read_text() == "years of work"
    export_model(model, tmp_path / "out", format="safetensors")
    with pytest.raises(UsageError, match="exists already"):
        export_model(model, tmp_path / "out")
    export_model(model, tmp_path / "out", force=True)
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_into_an_empty_folder_that_one_stands_in(make_model, tmp_path, monkeypatch):
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    result = export_model(make_model("edm", "edm"), Path("."), format="safetensors")
    assert result.files == ("README.md", "model.safetensors")
    assert Path("model.safetensors").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_what_cannot_be_exported_is_known_before_anything_is_written(make_model, tmp_path):
    with pytest.raises(SynthgenError, match="EDM-preconditioned"):
        export_model(make_model("edm", "v"), tmp_path / "out")
    with pytest.raises(UsageError, match=r"unknown format 'difusers' \(did you mean 'diffusers'\?\)"):
        export_model(make_model("edm", "edm"), tmp_path / "out", format="difusers")
    assert list(Path(tmp_path).iterdir()) == []


def test_prompts_go_along(captioned_run, tmp_path):
    """The network is diffusers' own class, and the pipeline understands the same prompts with and without guidance."""
    from diffusers import DiffusionPipeline, UNet2DConditionModel

    model = load(captioned_run, device="cpu")
    out = tmp_path / "exported"
    assert export_model(model, out).max_difference <= 1
    assert UNet2DConditionModel.from_pretrained(out / "unet").config.encoder_hid_dim == 10 + 7
    pipe = DiffusionPipeline.from_pretrained(
        str(out), custom_pipeline=str(out), trust_remote_code=True, low_cpu_mem_usage=False
    )
    pipe.set_progress_bar_config(disable=True)
    prompts = ["a red square on the right", "Blue!"]
    for scale in (1.0, 3.0):
        theirs = pipe(batch_size=4, prompt=prompts, seed=5, guidance_scale=scale, output_type="uint8").images
        ours = model.sample(4, prompts=prompts, seed=5, guidance_scale=scale)
        assert np.abs(np.asarray(theirs).astype(int) - ours).max() <= 1
    with pytest.raises(ValueError, match="unknown word 'purple'"):
        pipe(prompt="purple")
    with pytest.raises(ValueError, match="give one of them"):
        pipe(prompt="red", class_labels=0)
