"""The pipeline that goes with an export: numbered noise, labels, shards, output types."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from synthgen.export.exporting import export_model
from synthgen.export.pipeline import SynthgenPipeline, philox_noise
from synthgen.generation.noise import noise


@pytest.fixture(scope="module")
def folder(make_model, tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "out"
    model = make_model("edm", "edm")
    export_model(model, out, recipe=model.recipe(steps=4))
    return out


@pytest.fixture
def pipe(folder):
    loaded = SynthgenPipeline.from_pretrained(str(folder), trust_remote_code=True, low_cpu_mem_usage=False)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@pytest.mark.parametrize("seed", [0, 7, 2**63, 2**64 - 1])
@pytest.mark.parametrize("draw", [0, 1, 999])
def test_the_noise_is_ours(seed, draw):
    keys = range(3, 8)
    assert np.array_equal(philox_noise(seed, keys, (1, 4, 5), draw), noise(seed, np.array(list(keys)), (1, 4, 5), draw))


def test_a_sample_does_not_depend_on_its_batch(pipe):
    together = pipe(batch_size=6, seed=1, output_type="uint8").images
    apart = np.concatenate([pipe(batch_size=3, start=k, seed=1, output_type="uint8").images for k in (0, 3)])
    assert np.abs(together.astype(int) - apart.astype(int)).max() <= 1


def test_labels_by_number_by_name_and_in_turn(pipe):
    def draw(labels):
        return pipe(batch_size=4, class_labels=labels, output_type="uint8").images

    assert np.array_equal(draw(1), draw("bottom"))
    assert np.array_equal(draw(None), draw([0, "bottom"]))
    assert np.array_equal(draw(["bottom", 0, 0]), draw([1, 0, 0, 1]))
    assert not np.array_equal(draw(0), draw(1))


@pytest.mark.parametrize("label", ["Top", 2, -1])
def test_an_unknown_class_is_refused(pipe, label):
    with pytest.raises(ValueError, match="unknown class"):
        pipe(class_labels=label)


def test_an_unconditional_model_takes_no_class(make_model, tmp_path):
    export_model(make_model("edm", "edm", conditional=False), tmp_path / "out")
    pipe = SynthgenPipeline.from_pretrained(str(tmp_path / "out"), trust_remote_code=True, low_cpu_mem_usage=False)
    with pytest.raises(ValueError, match="knows no classes"):
        pipe(class_labels=0)
    with pytest.raises(ValueError, match="nothing to guide"):
        pipe(guidance_scale=2.0)


def test_the_number_of_steps_is_the_models_unless_given(pipe, make_model):
    model = make_model("edm", "edm")
    for given, steps in ((None, 4), (9, 9)):
        images = pipe(batch_size=3, num_inference_steps=given, output_type="uint8").images
        assert np.abs(images.astype(int) - model.sample(3, steps=steps).astype(int)).max() <= 1


def test_output_types(pipe):
    pixels = pipe(batch_size=2, output_type="uint8").images
    assert (pixels.dtype, pixels.shape) == (np.uint8, (2, 8, 8, 1))
    pictures = pipe(batch_size=2).images
    assert all(isinstance(picture, Image.Image) and picture.mode == "L" for picture in pictures)
    assert np.array_equal(np.asarray(pictures[1]), pixels[1, :, :, 0])
    assert np.array_equal(np.round(pipe(batch_size=2, output_type="np").images * 255), pixels)
    assert pipe(batch_size=2, output_type="pt", return_dict=False)[0].shape == (2, 1, 8, 8)
    with pytest.raises(ValueError, match="unknown output_type"):
        pipe(output_type="jpeg")
