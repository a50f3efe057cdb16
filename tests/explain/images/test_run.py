"""The folder that `synthgen explain` leaves, with a really trained little model."""

from __future__ import annotations

import copy
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from synthgen.config.loading import load_config
from synthgen.errors import StoppedError, UsageError
from synthgen.explain.attribution import Attribution
from synthgen.explain.audit import shuffled
from synthgen.explain.images.applying import UNTESTED, _audited
from synthgen.explain.images.context import Context
from synthgen.explain.images.run import Explanation, Request, explain_to_folder
from synthgen.explain.images.sources import encoded
from synthgen.generation.model import Model, load
from synthgen.outputs import MARKER
from synthgen.training.run import train
from tests.conftest import TINY, two_corners

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    return load(tiny_run, device="cpu")


@pytest.fixture(scope="module")
def folder(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("explain") / "why"
    request = Request(5, steps=6, seed=3, methods=("trajectory", "evidence"), invocation="synthgen explain x")
    explain_to_folder(model, out, request)
    return out


def test_arrays_end_in_what_sample_gives(model: Model, folder: Path) -> None:
    arrays = load_file(folder / "trajectory.safetensors")
    assert arrays["x"].shape == (7, 5, 1, 8, 8) and arrays["x0_hat"].shape == (6, 5, 1, 8, 8)
    final = np.rint((np.clip(arrays["x"][-1], -1, 1) + 1) * 127.5).astype(np.uint8)
    np.testing.assert_array_equal(np.moveaxis(final, 1, -1), model.sample(5, steps=6, seed=3))
    assert arrays["labels"].tolist() == [0, 1, 0, 1, 0] and arrays["keys"].tolist() == [0, 1, 2, 3, 4]


def test_the_same_request_writes_the_same_bytes(model: Model, folder: Path, tmp_path: Path) -> None:
    request = Request(5, steps=6, seed=3, methods=("trajectory", "evidence"), invocation="synthgen explain x")
    explain_to_folder(model, tmp_path / "why", request)
    for path in folder.iterdir():
        assert (tmp_path / "why" / path.name).read_bytes() == path.read_bytes(), path.name


def test_summary_tells_how_it_was_made_and_agrees_with_the_arrays(model: Model, folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    arrays = load_file(folder / "trajectory.safetensors")
    assert summary["checkpoint_sha256"] == model.sha256
    assert (summary["seed"], summary["sampler_steps"], summary["guidance_scale"]) == (3, 6, 1.0)
    assert [sample["class_name"] for sample in summary["samples"]] == ["top", "bottom"] * 2 + ["top"]
    first, final = (np.clip(a, -1, 1).astype(float) for a in (arrays["x0_hat"][0], arrays["x"][-1]))
    distance = np.sqrt(((first - final) ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(summary["trajectory"]["per_step"][0]["rms_to_final"], distance, rtol=1e-5)
    assert summary["trajectory"]["per_step"][-1]["median_rms_to_final"] < 1e-3  # the last step leaves x0_hat
    assert "not a causal account" in summary["trajectory"]["caveat"]
    assert set(summary["files"]) == {path.name for path in folder.iterdir()} - {MARKER}


def test_evidence_lies_where_the_class_was_planted_and_passes(folder: Path) -> None:
    """The training images differ between the classes only in two corners, half of the area; the rest is noise."""
    evidence = load_file(folder / "evidence.safetensors")
    summary = json.loads((folder / "summary.json").read_text())["evidence"]
    np.testing.assert_allclose(evidence["values"].sum(axis=(1, 2, 3)), evidence["scalars"], rtol=1e-4)
    assert (evidence["scalars"] > 0).all()
    values = evidence["values"][:, 0]
    assert (values[:, :4, :4].sum() + values[:, 4:, 4:].sum()) / values.sum() > 0.8
    assert summary["rivals"] == ["bottom", "top"] * 2 + ["bottom"]
    checks = {check["name"]: check for check in summary["checks"]}
    assert checks["deletion"]["sentence"].startswith("better than random")
    assert checks["weights"]["sentence"].startswith("depends on what was learned")
    assert checks["stability"]["value"] > 0.5 and checks["learned"]["value"] > 0


def test_pictures_open_and_have_a_place_for_every_step(folder: Path) -> None:
    with Image.open(folder / "trajectory.gif") as animation:
        assert animation.n_frames == 7
    with Image.open(folder / "trajectory.png") as picture:
        assert picture.width > 7 * 80 and picture.height > 10 * 80
    with Image.open(folder / "evidence.png") as picture:
        assert picture.width > 5 * 130


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_page_has_a_slider_with_a_word_for_each_step_and_needs_no_network(folder: Path) -> None:
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    for tag, attrs in page.found:
        for name in ("src", "href"):
            assert (attrs.get(name) or "#").startswith(("data:", "#")), (tag, attrs)
    slider = next(attrs for tag, attrs in page.found if attrs.get("id") == "trajectory-step")
    island = re.search(r'<script type="application/json" id="trajectory-data">(.*?)</script>', text)
    assert island is not None
    told = json.loads(island[1])["told"]
    assert slider["max"] == str(len(told) - 1) == "6" and told[-1] == "final image"
    assert "not a causal account" in text and "synthgen explain x" in text
    assert len(text) < 400_000


def test_reels_in_the_page_are_the_steps_side_by_side(folder: Path) -> None:
    import base64

    page = Page()
    page.feed((folder / "index.html").read_text(encoding="utf-8"))
    reels = [attrs for tag, attrs in page.found if tag == "img" and "translateX" in (attrs.get("style") or "")]
    assert len(reels) == 2 * 5
    content = base64.b64decode(str(reels[1]["src"]).split(",")[1])
    guesses = load_file(folder / "trajectory.safetensors")["x0_hat"][:, 0, 0]
    shown = np.asarray(Image.open(io.BytesIO(content)))
    assert shown.shape == (8, 7 * 8)
    level = np.maximum(1.0, np.sqrt((load_file(folder / "trajectory.safetensors")["x0_hat"][2] ** 2).mean()))
    expected = np.rint((np.clip(guesses[2] / level, -1, 1) + 1) * 127.5)
    np.testing.assert_allclose(shown[:, 16:24], expected, atol=1)


def test_names_of_classes_are_shown_as_text(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "class_names", ("<script>alert(1)</script>", "b&b"))
    explain_to_folder(model, tmp_path / "why", Request(2, steps=2, methods=("trajectory", "evidence")))
    text = (tmp_path / "why" / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text and "b&amp;b" in text


def test_nothing_is_lost_or_half_written(model: Model, tmp_path: Path) -> None:
    out = tmp_path / "why"
    with pytest.raises(StoppedError):
        explain_to_folder(model, out, Request(1, steps=1, methods=("neighbours",)), should_stop=lambda: True)
    assert list(tmp_path.iterdir()) == []
    explain_to_folder(model, out, Request(1, steps=1, methods=("neighbours",)))
    before = (out / "summary.json").read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        explain_to_folder(model, out, Request(1, steps=2, methods=("neighbours",)))
    with pytest.raises(UsageError, match="unknown class"):
        explain_to_folder(model, out, Request(1, labels=("no such",), methods=("trajectory",)), force=True)
    assert (out / "summary.json").read_bytes() == before
    explain_to_folder(model, out, Request(1, steps=2, methods=("neighbours",)), force=True)
    assert json.loads((out / "summary.json").read_text())["sampler_steps"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["why"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(methods=()), "no method"),
        (Request(methods=("trajektory",)), "did you mean 'trajectory'"),
        (Request(samples=0), "1 sample or more"),
        (Request(samples=10_000_000), "GiB"),
        (Request(samples=65), "samples can be followed at once"),
        (Request(sampler="dpm", steps=1), "unknown sampler"),
    ],
)
def test_requests_that_cannot_be_met_are_refused_before_anything_is_written(
    model: Model, tmp_path: Path, request_: Request, message: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        explain_to_folder(model, tmp_path / "why", request_)
    assert list(tmp_path.iterdir()) == []


def test_a_model_with_shuffled_weights_is_not_believed(model: Model) -> None:
    broken = copy.copy(model)
    broken.denoiser = shuffled(model.denoiser, 0)
    found = broken.explain(two_corners(3)[0], methods=["evidence"], labels=[0, 1]).attributions["evidence"]
    assert found.verdict.startswith("Do not believe it: the model knows nothing of such images")
    assert not model.explain(two_corners(3)[0], methods=["judge"], labels=[0, 1]).context.learned.value < 0


def test_what_could_not_be_tested_is_not_believed(model: Model) -> None:
    """Attention of a model without classes passes what there is to pass; nothing says what its pixels are worth."""
    x0, random = encoded(model, two_corners(6)[0][::2]), np.random.default_rng(0)
    found = Explanation(Context(model, x0, None, np.arange(3), tuple("abc"), model.recipe()), Request())
    values = random.normal(size=(3, 1, 8, 8)).astype(np.float32)
    halves, others = np.stack([values[:, 0]] * 2), [random.normal(size=(3, 8, 8))]
    one = Attribution("attention", "", values, np.full(3, np.nan), tuple("abc"), tuple("abc"), (0,), "", halves=halves)
    _audited(found, one, others)
    assert found.attributions["attention"].verdict == UNTESTED
    _audited(found, one, [values[:, 0]])
    assert "it would look the same with shuffled weights" in found.attributions["attention"].verdict


def test_the_way_out_of_noise_is_told(model: Model, folder: Path) -> None:
    """A label told from step k on for every k, what guidance would amplify, and the paths of the middle block."""
    arrays = load_file(folder / "trajectory.safetensors")
    told = json.loads((folder / "summary.json").read_text())["trajectory"]
    assert arrays["switch_margins"].shape == (7, 40) and arrays["middle_block_paths"].shape == (6, 5, 2)
    assert (arrays["switch_margins"][-1] > 0).all()  # never told anything else: of their class
    assert (arrays["switch_margins"][0] < 0).all()  # told the other class from the start: of that one
    low, middle, high = told["commitment"]["quartiles"]
    assert 1 <= low <= middle <= high <= 6 and set(told["commitment"]["by_class"]) == {"top", "bottom"}
    assert (arrays["guidance_energy"] > 0).all() and arrays["guidance_energy"].shape == (6, 5)
    assert arrays["survival"][0].mean() < 1.0 and arrays["survival"][-1].mean() == 1.0  # much noise, then hardly any
    assert "from step" in told["commitment"]["sentence"]


def striped(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of noise in which one corner tells the class: its stripes lie or stand."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = random.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
    stripes = np.where(np.arange(4) % 2, 230, 25).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:4, :4, 0] = stripes[:, None] if label == 0 else stripes[None, :]
    return images, labels


@pytest.mark.slow
def test_planted_ground_truth_is_found_and_believed_and_brightness_is_not(tmp_path: Path) -> None:
    images, labels = striped(256, 0)
    np.savez(tmp_path / "striped.npz", images=images, labels=labels, class_names=np.array(["lying", "standing"]))
    flags = {"data.source": str(tmp_path / "striped.npz"), "training.steps": 300}
    train(load_config(None, TINY, flags), tmp_path / "run", device="cpu")
    found = load(tmp_path / "run", device="cpu").explain(striped(6, 1)[0], methods=["evidence", "shap"])
    evidence = found.attributions["evidence"]
    assert evidence.labels == ("lying", "standing") * 3
    assert evidence.maps[:, :4, :4].sum() / evidence.maps.sum() > 0.8
    assert evidence.verdict == "Believe it: every check was passed.", evidence.checks
    shares = found.attributions["shap-judge"]
    assert np.abs(shares.maps[:, :4, :4]).sum() / np.abs(shares.maps).sum() > 0.8
    np.testing.assert_allclose(shares.maps.sum(axis=(1, 2)), shares.scalars, atol=1e-4)
    plain = dict(found.context.deleter.plain)
    plain["random"] = np.random.default_rng(0).normal(size=plain["edges"].shape)
    for name, values in plain.items():
        worthless = replace(evidence, method=name, values=values[:, None], halves=None)
        _audited(found, worthless, [values, values])  # maps that do not look at the weights at all
        verdict = found.attributions[name].verdict
        worse = verdict.split(":")[0]
        assert worse.startswith("No better than random") and name in worse
        assert "it would look the same with shuffled weights" in verdict
