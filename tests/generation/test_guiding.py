"""Autoguidance and guidance intervals of a loaded model."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch

from synthgen.checkpoints import load_checkpoint, save_checkpoint
from synthgen.config.loading import load_config
from synthgen.errors import UsageError
from synthgen.generation.engine import Engine
from synthgen.generation.guiding import weaker_copy
from synthgen.generation.model import Model
from synthgen.generation.model import load_image_model as load
from synthgen.generation.plan import plan_from_dict, plan_samples
from synthgen.runs import list_checkpoints
from synthgen.training.run import train
from tests.conftest import TINY

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def weak_run(tmp_path_factory: pytest.TempPathFactory, corners_npz: Path) -> Path:
    """`tiny_run` after a tenth of its training."""
    out = tmp_path_factory.mktemp("runs") / "weak"
    train(load_config(None, TINY, {"data.source": str(corners_npz), "training.steps": 30}), out, device="cpu")
    return out


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    return load(tiny_run, device="cpu")


def test_it_is_the_formula(model: Model, weak_run: Path) -> None:
    """One Euler step by hand: x0 = D_weak + w (D_strong - D_weak) at the first level, which is then the sample."""
    weak = load(weak_run, device="cpu")
    found = model.sample(16, autoguidance=weak, guidance_scale=1.7, sampler="euler", steps=1, seed=4)
    engine = Engine(model.denoiser, model.codec, model.recipe(sampler="euler", steps=1), model.device)
    x: list[torch.Tensor] = []
    labels = model.labels_for(0, 16, None)
    engine.latents(np.arange(16), labels, 4, callback=lambda row, state, x0: x.append(state))
    at = [torch.tensor(value, dtype=torch.float32) for value in (1.0, 80.0, np.log(80.0) / 4)]
    with torch.no_grad():
        strong, other = (one.denoiser(x[0], *at, torch.from_numpy(labels)) for one in (model, weak))
    expected = model.codec.decode(other + 1.7 * (strong - other)).numpy()
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1
    assert not np.array_equal(found, model.sample(16, sampler="euler", steps=1, seed=4))


def test_the_weaker_copy_is_part_of_the_plan(model: Model, weak_run: Path) -> None:
    weak = load(weak_run, device="cpu")
    recipe = model.recipe(autoguidance=weak_run, guidance_scale=1.5, guidance_interval=(0.1, 5.0))
    assert (recipe.autoguidance, recipe.guidance_interval) == (weak.sha256, (0.1, 5.0))
    plan = plan_samples(model, 10, recipe=recipe)
    assert plan_from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    with pytest.raises(UsageError, match="guided by the checkpoint"):
        load(model.path, device="cpu").engine(recipe)
    other = plan.to_dict()
    other["recipe"]["autoguidance"] = "../../etc/passwd"
    with pytest.raises(Exception, match="autoguidance"):
        plan_from_dict(other)


def test_an_interval_saves_calls_and_outside_of_it_nothing_changes(model: Model) -> None:
    plain = model.sample(16)
    np.testing.assert_array_equal(model.sample(16, guidance_scale=3.0, guidance_interval=(200.0, 300.0)), plain)
    inside = model.recipe(guidance_scale=3.0, guidance_interval=(0.0, 1.0))
    steps, guided = model.engine().network_calls, model.engine(replace(inside, guidance_interval=(0.0, 1e9)))
    assert steps < model.engine(inside).network_calls < guided.network_calls == 2 * steps


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"autoguidance": "alone", "guidance_scale": 2.0}, "is the model itself"),
        ({"autoguidance": "weak"}, "scale 1 changes nothing"),
        ({"guidance_scale": 2.0, "guidance_interval": (5.0, 0.1)}, "LOW,HIGH"),
        ({"guidance_scale": 2.0, "guidance_interval": (float("nan"), 1.0)}, "LOW,HIGH"),
    ],
)
def test_what_cannot_be(
    model: Model, weak_run: Path, tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    places = {"alone": tmp_path / "model.safetensors", "weak": weak_run}
    places["alone"].write_bytes(model.path.read_bytes())  # without the state of its run
    settings = {name: places.get(str(value), value) for name, value in settings.items()}
    with pytest.raises(UsageError, match=message):
        model.recipe(**settings)  # type: ignore[arg-type]


def test_the_model_itself_is_guided_by_its_other_average(model: Model, tiny_run: Path, tmp_path: Path) -> None:
    """Training keeps two; the state beside the checkpoint has the one that the model is not made of."""
    header, state = load_checkpoint(list_checkpoints(tiny_run, "state")[0], kind="state")
    other = weaker_copy(model, tiny_run)
    assert other.sha256 == header["sha256"] != model.sha256
    for name, tensor in other.denoiser.network.state_dict().items():
        assert torch.equal(tensor, state[f"short.{name}"]), name
    assert model.recipe(autoguidance=model, guidance_scale=1.5).autoguidance == other.sha256
    guided, plain = model.sample(16, autoguidance=tiny_run, guidance_scale=3.0), model.sample(16)
    assert not np.array_equal(guided, plain)
    # A card may have chosen the shorter one: then the longer one is the other.
    run = tmp_path / "chosen"
    copytree(tiny_run, run)
    place = list_checkpoints(run)[0]
    short = {name.removeprefix("short."): one for name, one in state.items() if name.startswith("short.")}
    save_checkpoint(place, short, {**load_checkpoint(place)[0]})
    longer = weaker_copy(load(run, device="cpu"), run).denoiser.network.state_dict()
    assert all(torch.equal(tensor, state[f"ema.{name}"]) for name, tensor in longer.items())
    # Without a second average there is nothing to be guided by.
    single = {name: one for name, one in state.items() if not name.startswith("ema.")}
    save_checkpoint(list_checkpoints(run, "state")[0], single, header)
    with pytest.raises(UsageError, match="holds no other average"):
        weaker_copy(load(run, device="cpu"), run)


def test_another_network_or_other_classes_are_refused(model: Model, corners_npz: Path, tmp_path: Path) -> None:
    wide = load_config(None, TINY, {"data.source": str(corners_npz), "training.steps": 1, "model.channels": [8, 8]})
    train(wide, tmp_path / "wide", device="cpu")
    with pytest.raises(UsageError, match="they differ in network"):
        model.recipe(autoguidance=tmp_path / "wide", guidance_scale=2.0)
    plain = load_config(
        None, TINY, {"data.source": str(corners_npz), "training.steps": 1, "model.conditioning": "none"}
    )
    train(plain, tmp_path / "plain", device="cpu")
    with pytest.raises(UsageError, match="classes"):
        model.recipe(autoguidance=tmp_path / "plain", guidance_scale=2.0)
    with pytest.raises(UsageError, match="no label to guide towards"):
        load(tmp_path / "plain", device="cpu").recipe(guidance_scale=2.0)


def test_from_the_command_line(tiny_run: Path, weak_run: Path, tmp_path: Path, cli: Cli) -> None:
    flags = ("--autoguidance", weak_run, "--guidance-scale", 1.5, "--guidance-interval", "0.05,10", "--count", 8)
    done = cli("sample", tiny_run, *flags, "--out", "guided", "--json")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "guided" / "manifest.json").read_text())
    assert manifest["plan"]["recipe"]["autoguidance"] == load(weak_run, device="cpu").sha256
    assert manifest["plan"]["recipe"]["guidance_interval"] == [0.05, 10.0]
    shown = cli("sample", tiny_run, *flags, "--dry-run")
    assert "by the weaker copy" in shown.stdout and "from 0.05 to 10" in shown.stdout
