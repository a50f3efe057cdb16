"""The sampler card of a tiny trained run, end to end: measured, kept, shown, used; and what it leaves as it was."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from synthgen.checkpoints import load_checkpoint, put_card, read_header
from synthgen.config.loading import load_config
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.evaluation.sampler_card import Card, choose, parse_card
from synthgen.evaluation.sampler_card_making import CardWish, make_card
from synthgen.evaluation.sampler_card_settings import expected_calls
from synthgen.generation.model import load_image_model as load
from synthgen.runs import list_checkpoints, resolve_run
from synthgen.training.run import train
from tests.conftest import TINY, two_corners

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
WISH = CardWish(samplers=("dpm++2m",), steps=(1, 4), count=100, repeats=2)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def plain(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny run without a card."""
    return Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("runs") / "plain"))


@pytest.fixture(scope="module")
def carded(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Card]:
    """A copy with one, and that card."""
    run = Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("runs") / "carded"))
    return run, make_card(run, WISH, device="cpu")[1]


def test_the_card_changes_nothing_but_itself(plain: Path, carded: tuple[Path, Card]) -> None:
    run, card = carded
    before, after = load(plain, device="cpu"), load(run, device="cpu")
    assert before.sha256 == after.sha256
    np.testing.assert_array_equal(before.sample(8), after.sample(8))
    assert parse_card(after.header, "here") == card
    assert before.header == {
        **{name: value for name, value in after.header.items() if name != "sampler_card_sha256"},
        "sampler_card": None,
    }
    put_card(after.path, None)
    assert after.path.read_bytes() == resolve_run(plain).read_bytes()
    put_card(after.path, card.model_dump(mode="json"))


def test_one_step_of_a_mean_is_worse_than_four(carded: tuple[Path, Card]) -> None:
    card = carded[1]
    by_steps = {one.sampling.steps: one for one in card.settings if not one.sampling.noise_levels}
    assert by_steps[1].fid > 2 * by_steps[4].fid
    assert by_steps[1] not in card.complete, "it was given up after the first look"
    assert [one.calls for one in card.settings][:2] == [1, 4]
    assert {one.name for one in card.settings[1:]} <= {"dpm++2m, 4 steps", "dpm++2m, 4 steps at learned levels"}
    assert choose(card.complete, "fast").calls == 4
    assert card.against == "training" and card.reference_count == 128
    assert by_steps[4].agreement is not None and by_steps[4].agreement > 0.9


def test_quality_is_the_setting_of_the_card(carded: tuple[Path, Card]) -> None:
    model = load(carded[0], device="cpu")
    recipe = model.recipe(quality="best")
    chosen = choose(carded[1].complete, "best").sampling
    assert (recipe.sampler, recipe.steps, recipe.block_size) == ("dpm++2m", 4, 16)
    assert recipe.noise_levels == chosen.noise_levels
    expected = model.engine(recipe).pixels(np.arange(8), np.arange(8) % 2, 0)
    np.testing.assert_array_equal(model.sample(8, quality="best"), expected)
    assert model.recipe().steps == 6, "without a quality the model's own settings stay"
    with pytest.raises(UsageError, match="whole setting, and steps would change it"):
        model.recipe(quality="best", steps=3)
    with pytest.raises(UsageError, match="unknown quality"):
        model.recipe(quality="good")


def test_a_model_without_a_card_says_how_to_make_one(plain: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(plain, device="cpu").recipe(quality="fast")
    assert "synthgen runs card" in str(caught.value.hint)


def test_a_flipped_letter_of_the_card_is_refused(carded: tuple[Path, Card], tmp_path: Path) -> None:
    data = resolve_run(carded[0]).read_bytes()
    (tmp_path / "model.safetensors").write_bytes(data.replace(b'against\\": \\"training', b'against\\": \\"trainyng'))
    assert data != (tmp_path / "model.safetensors").read_bytes()
    with pytest.raises(SynthgenError, match="damaged"):
        load_checkpoint(tmp_path / "model.safetensors")


def test_a_stop_leaves_the_checkpoint_alone(plain: Path) -> None:
    before = resolve_run(plain).read_bytes()
    with pytest.raises(StoppedError):
        make_card(plain, WISH, device="cpu", should_stop=lambda: True)
    assert resolve_run(plain).read_bytes() == before


def test_other_images_may_not_judge(plain: Path, tmp_path: Path) -> None:
    images, labels = two_corners(64, seed=1)
    np.savez(tmp_path / "others.npz", images=images, labels=labels, class_names=np.array(["top", "bottom"]))
    with pytest.raises(UsageError, match="does not hold the images"):
        make_card(plain, CardWish(source=str(tmp_path / "others.npz")), device="cpu")


def test_from_the_command_line(plain: Path, tmp_path: Path, cli: Cli) -> None:
    run = shutil.copytree(plain, tmp_path / "run")
    flags = ("--samplers", "dpm++2m", "--steps", "2,4", "--guidance", "1,3", "--count", 100, "--repeats", 1)
    made = cli("runs", "card", run, *flags, "--json")
    assert made.returncode == 0, made.stderr
    document = json.loads(made.stdout)["sampler_card"]
    assert {one["calls"] for one in document["settings"]} == {2, 4, 8}
    shown = cli("runs", "show", run, "--out", "page.html")
    assert "FID" in shown.stdout and "fast: the cheapest within" in shown.stdout
    assert "network calls per sample" in (tmp_path / "page.html").read_text()
    done = cli("sample", run, "--quality", "best", "--count", 8, "--out", "best")
    assert "quality best: dpm++2m" in done.stderr
    recipe = json.loads((tmp_path / "best" / "manifest.json").read_text())["plan"]["recipe"]
    assert recipe["steps"] == document["settings"][document["choices"]["best"]]["sampling"]["steps"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, corners_npz: Path) -> Path:
    """A run that measures its card when it is done, with so few settings that it is quick."""
    from synthgen.evaluation import sampler_card_settings as usual

    out = tmp_path_factory.mktemp("runs") / "trained"
    settings = {"data.source": str(corners_npz), "training.steps": 120, "sampling.card": "always"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usual, "GRID", {"dpm++2m": (3,)})
        patch.setattr(usual, "COUNT", 100)
        patch.setattr(usual, "REPEATS", 1)
        train(load_config(None, TINY, settings), out, device="cpu")
    return out


def test_training_measures_its_card_and_chooses_the_average(trained: Path) -> None:
    path = list_checkpoints(trained)[0]
    header, weights = load_checkpoint(path)
    card = parse_card(header, "here")
    assert card is not None and {one.sampling.steps for one in card.settings} == {3, 6}
    assert header["training"]["finished"] is True
    state = load_checkpoint(list_checkpoints(trained, "state")[0], kind="state")[1]
    prefix = {0.05: "ema.", 0.01: "short."}[header["training"]["ema_half_life"]]
    assert all((state[prefix + name] == weight).all() for name, weight in weights.items())
    assert any((state["ema." + name] != state["short." + name]).any() for name in weights)


def test_a_run_that_is_too_short_makes_none(tiny_run: Path) -> None:
    header = read_header(resolve_run(tiny_run))
    assert header["sampler_card"] is None
    assert header["training"]["ema_half_life"] == 0.05
    config = load(tiny_run, device="cpu").config.sampling
    assert expected_calls(config, 1000) > 50_000, "more than a tenth of its time allows"
