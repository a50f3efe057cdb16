"""Distillation of a tiny model: what it learns, what it leaves, how it resumes, what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import synthgen
from synthgen.checkpoints import load_checkpoint, save_checkpoint
from synthgen.config.loading import load_config
from synthgen.config.schema import Config
from synthgen.diffusion.schedule import EDMSchedule
from synthgen.errors import StoppedError, UsageError
from synthgen.generation.model import Model, load
from synthgen.runs import kept_teacher, list_checkpoints, resolve_run
from synthgen.training.choosing import choose_settings
from synthgen.training.distill import guided_by
from synthgen.training.distill_settings import distilled_settings
from synthgen.training.run import train
from tests.conftest import TINY

pytestmark = pytest.mark.usefixtures("one_thread")

FAST = ("training.learning_rate=0.003", "training.batch_size=64", "distill.stages=2", "sampling.card=never")


def settings(teacher: Path, *overrides: str, **flags: Any) -> Config:
    return distilled_settings(
        teacher, [*FAST, *overrides], {key.replace("__", "."): value for key, value in flags.items()}
    )[1]


def distil(teacher: Path, out: Path, *overrides: str, **more: Any) -> Config:
    config = settings(teacher, *overrides)
    train(config, out, device="cpu", origin=resolve_run(teacher), **more)
    return config


@pytest.fixture(scope="module")
def distilled(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("distilled") / "tiny-distilled"
    distil(tiny_run, out, "training.steps=150")
    return out


def corners(images: np.ndarray) -> np.ndarray:
    """Of images (N, 8, 8, 1), the mean grey of the top left and of the bottom right corner: (N, 2)."""
    return np.stack([images[:, :4, :4].mean((1, 2, 3)), images[:, 4:, 4:].mean((1, 2, 3))], 1)


def test_one_or_two_steps_draw_the_data(distilled: Path) -> None:
    """In the data a corner of the class is evenly 200 to 255, the rest 0 to 39."""
    model = load(distilled, device="cpu")
    assert isinstance(model, Model)
    for steps in (1, 2):
        images = model.sample(64, steps=steps)
        found = corners(images)
        assert (found.argmax(1) == np.arange(64) % 2).all()
        bright, dark = found.max(1), found.min(1)
        assert 185 < bright.mean() < 250 and 5 < dark.mean() < 50
    assert model.engine().network_calls == 2 and model.recipe().noise_levels == pytest.approx((80.0, 0.8))


def test_the_checkpoint_says_what_it_is(distilled: Path, tiny_run: Path) -> None:
    header, tensors = load_checkpoint(resolve_run(distilled))
    before, theirs = load_checkpoint(resolve_run(tiny_run))
    assert header["config"]["distill"]["teacher"] == tiny_run.name
    assert header["config"]["distill"]["teacher_sha256"] == before["sha256"]
    assert header["config"]["sampling"]["sampler"] == "consistency"
    assert {name: tensor.shape for name, tensor in tensors.items()} == {name: one.shape for name, one in theirs.items()}
    same = ("class_names", "codec", "sigma_data", "data")
    assert {key: header[key] for key in same} == {key: before[key] for key in same}
    for group in ("data", "model", "diffusion"):
        assert header["config"][group] == before["config"][group]


def test_training_starts_from_the_averaged_weights(tiny_run: Path, tmp_path: Path) -> None:
    small = {"training.learning_rate": 1e-12, "sampling.card": "never"}
    model = synthgen.train(distill=tiny_run, out=tmp_path / "d", steps=1, settings=small, device="cpu")
    assert isinstance(model, Model) and model.config.distill is not None
    now, before = (load_checkpoint(resolve_run(run))[1] for run in (tmp_path / "d", tiny_run))
    for name, tensor in now.items():
        torch.testing.assert_close(tensor, before[name])


def test_a_stopped_distillation_resumes_bit_for_bit(tiny_run: Path, tmp_path: Path) -> None:
    """With and without the teacher named again: the state has all that is needed."""
    whole, parts, alone = tmp_path / "whole", tmp_path / "parts", tmp_path / "alone"
    distil(tiny_run, whole, "training.steps=6")
    for out in (parts, alone):
        polls = iter([False, False, True])
        with pytest.raises(StoppedError):
            distil(tiny_run, out, "training.steps=6", should_stop=lambda polls=polls: next(polls))
    distil(tiny_run, parts, "training.steps=6", resume=True)
    config = choose_settings(resumed=alone).config
    train(config, alone, resume=True, device="cpu")
    expected = load_checkpoint(list_checkpoints(whole)[0])[1]
    for out in (parts, alone):
        found = load_checkpoint(list_checkpoints(out)[0])[1]
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_guided_teacher_is_kept_and_asked(tiny_run: Path, tmp_path: Path) -> None:
    """A run without the teacher's file goes on from the copy in its folder, bit for bit; without that, not at all."""
    guided = ("training.steps=6", "distill.guidance_scale=3")
    whole, alone, plain = tmp_path / "whole", tmp_path / "alone", tmp_path / "plain"
    distil(tiny_run, whole, *guided)
    distil(tiny_run, plain, "training.steps=6")
    polls = iter([False, False, True])
    with pytest.raises(StoppedError):
        distil(tiny_run, alone, *guided, should_stop=lambda: next(polls))
    assert kept_teacher(alone).read_bytes() == resolve_run(tiny_run).read_bytes()
    assert not kept_teacher(plain).exists()
    config = choose_settings(resumed=alone).config
    train(config, alone, resume=True, device="cpu")
    expected, found, other = (load_checkpoint(list_checkpoints(run)[0])[1] for run in (whole, alone, plain))
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert any(not torch.equal(other[name], tensor) for name, tensor in expected.items())
    kept_teacher(alone).unlink()
    with pytest.raises(UsageError, match="whose weights are not given"):
        train(config, alone, resume=True, device="cpu")


def test_the_guided_estimate_is_that_of_the_sampler(tiny_run: Path) -> None:
    """A step of Euler's sampler with guidance ends where the estimate says: x_r = x_t + (r - t) (x_t - D) / t."""
    model = load(tiny_run, device="cpu")
    assert isinstance(model, Model)
    denoiser = model.denoiser
    torch.manual_seed(0)
    x, sigma = torch.randn(4, 1, 8, 8) * 2, torch.tensor([0.3, 1.0, 1.0, 5.0])
    labels = torch.tensor([0, 1, 2, 1])  # 2 is the null label
    estimate = guided_by(denoiser, 2.5, (0.5, 3.0))(x, sigma, labels)
    assert isinstance(denoiser.schedule, EDMSchedule)
    one, time = torch.ones_like(sigma), denoiser.schedule.time(sigma)
    with torch.no_grad():
        strong = denoiser(x, one, sigma, time, labels)
        weak = denoiser(x, one, sigma, time, torch.full_like(labels, 2))
    torch.testing.assert_close(estimate[1], weak[1] + 2.5 * (strong[1] - weak[1]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(estimate[[0, 2, 3]], strong[[0, 2, 3]], atol=1e-5, rtol=1e-5)


def test_a_teacher_that_samples_with_guidance_is_imitated_with_it(tiny_run: Path, tmp_path: Path) -> None:
    header, tensors = load_checkpoint(resolve_run(tiny_run))
    sampling = {**header["config"]["sampling"], "guidance_scale": 1.5, "guidance_interval": [0.1, 5.0]}
    path = tmp_path / "guided.safetensors"
    save_checkpoint(path, tensors, {**header, "config": {**header["config"], "sampling": sampling}})
    found = settings(path).distill
    assert found is not None and found.guided
    assert (found.guidance_scale, found.guidance_interval) == (1.5, (0.1, 5.0))
    plain = settings(path, "distill.guidance_scale=1").distill
    assert plain is not None and not plain.guided


def test_resuming_takes_the_settings_of_the_run(distilled: Path, tiny_run: Path) -> None:
    name, config = distilled_settings(tiny_run, resumed=distilled, flags={"training.steps": 200})
    assert name == f"{tiny_run.name}-distilled"
    assert config.training.steps == 200 and config.training.batch_size == 64  # as FAST said, not as the defaults


def test_without_a_teacher_nothing_starts(distilled: Path, tmp_path: Path) -> None:
    config = load_config(distilled)
    with pytest.raises(UsageError, match=r"distils .*tiny.*, whose weights are not given"):
        train(config, tmp_path / "new", device="cpu")
    assert not (tmp_path / "new").exists()


def test_other_data_than_the_teachers_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    with np.load(load_config(tiny_run).data.source) as file:
        arrays = dict(file)
    arrays["images"] = arrays["images"] ^ 1
    np.savez(tmp_path / "other.npz", **arrays)
    config = settings(tiny_run, data__source=str(tmp_path / "other.npz"))
    with pytest.raises(UsageError, match=r"trained on other images than those of .*other\.npz") as caught:
        train(config, tmp_path / "new", device="cpu", origin=resolve_run(tiny_run))
    assert caught.value.hint == "name the same images with --data"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["model.channels=[8, 8]"], "model.channels: data and network are the teacher's"),
        (["diffusion.noise_mean=0"], "diffusion.noise_mean: data"),
        (["data.validation=0.1", "data.limit=100"], "data.limit, data.validation: data"),
        (["sampling.sampler=ddim"], "needs sampler consistency, not ddim"),
        (["distill.q=1"], "distill.q.*greater than 1"),
        (["distill.quality=1"], "unknown key 'distill.quality'"),
    ],
)
def test_settings_that_would_make_another_model_are_refused(tiny_run: Path, overrides: list[str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        distilled_settings(tiny_run, overrides)


def test_what_leaves_the_weights_alone_may_change(tiny_run: Path) -> None:
    config = settings(tiny_run, "model.dropout=0.1", "diffusion.label_dropout=0", "sampling.steps=1")
    assert config.model.dropout == 0.1 and config.sampling.steps == 1


def test_another_checkpoint_than_before_is_refused(distilled: Path, tiny_run: Path, tmp_path: Path) -> None:
    header, tensors = load_checkpoint(resolve_run(tiny_run))
    save_checkpoint(tmp_path / "later.safetensors", {name: 2 * one for name, one in tensors.items()}, header)
    with pytest.raises(UsageError, match="distilled from another checkpoint"):
        distilled_settings(tmp_path / "later.safetensors", resumed=distilled)
    with pytest.raises(UsageError, match="is not the checkpoint"):
        train(settings(tiny_run), tmp_path / "new", device="cpu", origin=tmp_path / "later.safetensors")


def test_models_that_cannot_be_distilled_are_refused(corners_npz: Path, tmp_path: Path) -> None:
    config = load_config(
        None,
        [*TINY, "diffusion.schedule=flow", "diffusion.prediction=v"],
        {"data.source": str(corners_npz), "training.steps": 1},
    )
    train(config, tmp_path / "flow", device="cpu")
    with pytest.raises(UsageError, match="schedule flow and prediction v: consistency tuning needs edm and edm"):
        distilled_settings(tmp_path / "flow")


def test_a_distilled_model_has_one_sampler_and_others_have_not(distilled: Path, tiny_run: Path) -> None:
    student, teacher = load(distilled, device="cpu"), load(tiny_run, device="cpu")
    assert isinstance(student, Model) and isinstance(teacher, Model)
    with pytest.raises(UsageError, match="'ddim' would draw poor images") as caught:
        student.recipe(sampler="ddim")
    assert tiny_run.name in str(caught.value.hint)
    with pytest.raises(UsageError, match="guidance has no meaning"):
        student.recipe(guidance_scale=2.0)
    with pytest.raises(UsageError, match="for models tuned for it") as caught:
        teacher.recipe(sampler="consistency")
    assert "--distill RUN" in str(caught.value.hint)


def test_noise_levels_belong_to_a_number_of_steps(distilled: Path) -> None:
    model = load(distilled, device="cpu")
    assert isinstance(model, Model)
    assert model.recipe(steps=3).noise_levels == ()
    assert model.recipe(steps=2).noise_levels == model.recipe().noise_levels
    chosen = model.recipe(noise_levels=[80.0, 2.0, 0.3])
    assert (chosen.steps, chosen.noise_levels) == (3, (80.0, 2.0, 0.3))
    assert model.engine(chosen).table.sigmas.tolist() == [80.0, 2.0, 0.3, 0.0]
    assert np.array_equal(
        model.sample(3, noise_levels=[80.0, 2.0, 0.3]),
        model.engine(chosen).pixels(np.arange(3), np.array([0, 1, 0]), 0),
    )
    with pytest.raises(UsageError, match="3 noise levels were given for 2 steps"):
        model.recipe(steps=2, noise_levels=[80.0, 2.0, 0.3])
