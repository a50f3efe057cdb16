"""Prompts: a model that learned from captions shows what it is told, and its samples stay functions of the plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthgen.checkpoints import load_checkpoint, save_checkpoint
from synthgen.errors import SynthgenError, UsageError
from synthgen.generation.folder import sample_to_folder
from synthgen.generation.merge import merge_samples
from synthgen.generation.model import Model, load
from synthgen.generation.plan import plan_from_dict, plan_samples
from synthgen.generation.verify import verify_samples
from synthgen.runs import resolve_run

pytestmark = pytest.mark.usefixtures("one_thread")

COMPOSED = "a blue square, on the right"
"""No training image shows it; each of its words stands in other captions."""


@pytest.fixture(scope="module")
def model(captioned_run: Path) -> Model:
    found = load(captioned_run, device="cpu")
    assert isinstance(found, Model)
    return found


def seen(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each image the colour channel and the side (0 left, 1 right) that are brightest."""
    centre = images[:, 2:6].astype(float)
    hue = centre.mean(axis=(1, 2)).argmax(axis=1)
    bright = centre.max(axis=3).mean(axis=1)
    return hue, (bright[:, 4:].mean(axis=1) > bright[:, :4].mean(axis=1)).astype(int)


def test_samples_show_what_the_prompt_says(model: Model) -> None:
    """Colour and side of nearly every sample, by guidance with the null caption too; "red" alone says the colour."""
    prompts = ["a red square on the right", "a green square, on the left", "a blue square on the left"]
    for scale in (1.0, 2.0):
        hue, side = seen(model.sample(96, prompts=prompts, guidance_scale=scale))
        which = np.arange(96) % 3
        assert ((hue == which) & (side == (which == 0))).mean() > 0.9  # by chance 1/6
    assert (seen(model.sample(48, prompts="red", guidance_scale=2.0))[0] == 0).mean() > 0.7


def test_unless_told_it_draws_the_captions_in_turn(model: Model) -> None:
    assert model.class_names[0] == "a blue square on the left" and len(model.class_names) == 5
    hue, side = seen(model.sample(60))
    names = [model.class_names[k % 5] for k in range(60)]
    expected = np.array([["red", "green", "blue"].index(name.split()[1]) for name in names])
    assert (hue == expected).mean() > 0.9
    assert (side == np.array([name.endswith("right") for name in names])).mean() > 0.9
    named = model.sample(6, labels="a red square on the left")
    np.testing.assert_array_equal(named, model.sample(6, prompts="A red square on the left!"))


def test_sample_k_is_the_same_in_every_request(model: Model) -> None:
    prompts = ["red square", COMPOSED]
    whole = model.sample(20, prompts=prompts, seed=3)
    np.testing.assert_array_equal(whole[13:], model.sample(7, start=13, prompts=prompts, seed=3))
    np.testing.assert_array_equal(whole[1::2], model.sample(20, prompts=COMPOSED, seed=3)[1::2])
    assert model.prompts == () and len(model.class_names) == 5  # the model itself was not changed


def test_the_prompt_is_part_of_the_plan_and_of_the_manifest(model: Model, tmp_path: Path) -> None:
    told = model.told([COMPOSED, "red"])
    plan = plan_samples(told, 8, format="npz")
    assert plan.prompts == ("a blue square on the right", "red")
    assert plan_from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert plan.sha256 != plan_samples(model, 8, format="npz").sha256
    sample_to_folder(told, tmp_path / "made", plan)
    document = json.loads((tmp_path / "made" / "manifest.json").read_text())
    assert document["class_names"] == list(plan.prompts) == document["plan"]["prompts"]
    assert document["counts"] == {"a blue square on the right": 4, "red": 4}
    with pytest.raises(UsageError, match="begun with another plan"):
        sample_to_folder(model, tmp_path / "made", plan_samples(model, 8, format="npz"), resume=True)


def test_a_plan_without_prompts_is_what_it_was_before_there_were_any(model: Model) -> None:
    values = plan_samples(model, 8).to_dict()
    assert "prompts" not in values and plan_from_dict(values).prompts == ()


def test_shards_of_prompts_are_verified_and_merged(model: Model, tmp_path: Path) -> None:
    from synthgen.generation.making import sample_to_shards

    told = model.told(["red square", COMPOSED])
    plan = plan_samples(told, 40, format="npz", shards=2)
    sample_to_shards(told, str(tmp_path / "shards"), plan)
    assert verify_samples(tmp_path / "shards").whole
    merge_samples(tmp_path / "shards", tmp_path / "one")
    document = json.loads((tmp_path / "one" / "manifest.json").read_text())
    assert document["plan"]["prompts"] == list(told.prompts)


@pytest.mark.parametrize(
    "prompts",
    ["text", [""], ["A Red"], [7], ["a", "a"], ["a " * 63 + "a"], [f"a{number}" for number in range(1001)], {"a": 1}],
)
def test_prompts_of_a_hostile_manifest(model: Model, prompts: object) -> None:
    values = {**plan_samples(model, 8).to_dict(), "prompts": prompts}
    with pytest.raises(SynthgenError, match="the plan in the manifest cannot be read"):
        plan_from_dict(values)


def test_what_cannot_be_told(model: Model, tiny_run: Path) -> None:
    with pytest.raises(UsageError, match=r"does not know the word 'purple'"):
        model.told("a purple square")
    with pytest.raises(UsageError, match="'red' is given twice"):
        model.told(["red", "Red."])
    with pytest.raises(UsageError, match="between 1 and 1,000 prompts"):
        model.told([])
    with pytest.raises(UsageError, match="labels and prompts both say"):
        model.sample(1, labels=0, prompts="red")
    other = load(tiny_run, device="cpu")
    assert isinstance(other, Model)
    with pytest.raises(UsageError, match="did not learn from captions"):
        other.told("red")


def altered(run: Path, target: Path, **changes: Any) -> Path:
    header, tensors = load_checkpoint(resolve_run(str(run)))
    header = {key: value for key, value in header.items() if key != "sha256"}
    save_checkpoint(target, tensors, {**header, **changes})
    return target


WORDS = ["square", "on", "the", "a", "left", "right", "green", "red", "blue"]


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        ({"words": WORDS, "length": 10**9}, "vocabulary.length"),
        ({"words": WORDS, "length": 1}, "vocabulary.length"),
        ({"words": [], "length": 7}, "vocabulary.words"),
        ({"words": [*WORDS, "red"], "length": 7}, "a word stands there twice"),
        ({"words": [*WORDS[:-1], "\x1b[31mblue"], "length": 7}, "is not a word in small letters"),
        ({"words": [*WORDS[:-1], "Blue"], "length": 7}, "is not a word in small letters"),
        ({"words": [*WORDS[:-1], "x" * 101], "length": 7}, "vocabulary.words"),
        ({"words": [f"a{number}" for number in range(10_001)], "length": 7}, "vocabulary.words"),
        ({"words": WORDS, "length": 7, "more": 1}, "vocabulary.more"),
        ("a b c", "vocabulary"),
        ({"words": WORDS[:-1], "length": 7}, "the weights do not fit"),
        ({"words": WORDS, "length": 8}, "the weights do not fit"),
        (None, "the weights do not fit"),
    ],
)
def test_a_hostile_vocabulary_is_refused(captioned_run: Path, tmp_path: Path, vocabulary: object, message: str) -> None:
    path = altered(captioned_run, tmp_path / "altered.safetensors", vocabulary=vocabulary)
    with pytest.raises(SynthgenError, match=message):
        load(path, device="cpu")


def test_a_vocabulary_needs_cross_attention(tiny_run: Path, tmp_path: Path) -> None:
    path = altered(tiny_run, tmp_path / "altered.safetensors", vocabulary={"words": WORDS, "length": 7})
    with pytest.raises(SynthgenError, match="a vocabulary is for models whose conditioning is cross-attention"):
        load(path, device="cpu")


def test_captions_in_a_header_may_be_anything(captioned_run: Path, tmp_path: Path) -> None:
    """What the vocabulary cannot say of them is left out: the numbers of tokens are never out of range."""
    path = altered(captioned_run, tmp_path / "altered.safetensors", class_names=["purple rain", "red " * 100])
    found = load(path, device="cpu")
    assert isinstance(found, Model) and found.sample(2).shape == (2, 8, 8, 3)


def test_a_weaker_copy_is_told_the_same(model: Model, captioned_run: Path, tmp_path: Path) -> None:
    header, tensors = load_checkpoint(resolve_run(str(captioned_run)))
    weights = {name: tensor * 0.99 for name, tensor in tensors.items()}
    save_checkpoint(tmp_path / "weak.safetensors", weights, {k: v for k, v in header.items() if k != "sha256"})
    made = model.sample(2, prompts=COMPOSED, autoguidance=tmp_path / "weak.safetensors", guidance_scale=2.0)
    assert made.shape == (2, 8, 8, 3)
