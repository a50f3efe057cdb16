"""Folders of samples: formats, manifests, stops and resumes, requests that must not begin."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthgen.api import sample_shards
from synthgen.data import load_images
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.generation import folder
from synthgen.generation.folder import estimated_bytes, plan_samples, sample_to_folder
from synthgen.generation.model import Model, load
from synthgen.generation.writers import safe_name

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    return load(tiny_run, device="cpu")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_CHUNK", 32)


def tree(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize("format_", ["png", "npz", "idx"])
def test_what_is_written_is_what_the_model_draws(model: Model, tmp_path: Path, format_: str) -> None:
    plan = plan_samples(model, 70, seed=2, format=format_)
    result = sample_to_folder(model, tmp_path / "out", plan)
    assert result.counts == {"top": 35, "bottom": 35}
    data = load_images(str(tmp_path / "out"))
    expected = model.sample(70, seed=2)
    assert data.labels is not None
    order = np.arange(70)
    if format_ == "png":  # a folder per class, in the model's order of classes
        order = np.argsort(order % 2, kind="stable")
    np.testing.assert_array_equal(data.images, expected[order])
    if format_ != "idx":
        names = [data.class_names[label] for label in data.labels]
        assert names == [("top", "bottom")[k % 2] for k in order]
    assert all(path.exists() for path in [*result.files, result.grid])
    assert not [name for name in tree(tmp_path / "out") if "tmp" in name or "partial" in name]


@pytest.mark.parametrize("format_", ["png", "npz", "idx"])
def test_stopped_and_resumed_gives_the_same_bytes(model: Model, tmp_path: Path, format_: str) -> None:
    plan = plan_samples(model, 90, format=format_)
    sample_to_folder(model, tmp_path / "whole", plan)
    polls = iter(range(100))
    with pytest.raises(StoppedError, match="32 of 90"):
        sample_to_folder(model, tmp_path / "cut", plan, should_stop=lambda: next(polls) >= 2)
    manifest = json.loads((tmp_path / "cut" / "manifest.json").read_text())
    assert manifest["finished"] is False and [chunk["start"] for chunk in manifest["chunks"]] == [0]
    sample_to_folder(model, tmp_path / "cut", plan, resume=True)
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")


def test_a_complete_folder_is_left_alone(model: Model, tmp_path: Path) -> None:
    plan = plan_samples(model, 10)
    sample_to_folder(model, tmp_path / "out", plan)
    before = tree(tmp_path / "out")
    result = sample_to_folder(model, tmp_path / "out", plan, resume=True)
    assert result.seconds == 0 and tree(tmp_path / "out") == before


@pytest.mark.parametrize("format_", ["npz", "idx", "png"])
def test_a_kill_before_the_last_manifest_costs_nothing(
    model: Model, tmp_path: Path, format_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is written, and the process dies before the manifest says so: found by kill_sampling.py."""
    plan = plan_samples(model, 70, format=format_)
    sample_to_folder(model, tmp_path / "whole", plan)
    save = folder._Job.save

    def dies(job: folder._Job) -> None:
        if job.finished:
            raise KeyboardInterrupt
        save(job)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(folder._Job, "save", dies)
        sample_to_folder(model, tmp_path / "cut", plan)
    sample_to_folder(model, tmp_path / "cut", plan, resume=True)
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")


def test_pixels_that_are_gone_are_made_again(model: Model, tmp_path: Path) -> None:
    plan = plan_samples(model, 90, format="npz")
    sample_to_folder(model, tmp_path / "whole", plan)
    polls = iter(range(100))
    with pytest.raises(StoppedError, match="32 of 90"):
        sample_to_folder(model, tmp_path / "cut", plan, should_stop=lambda: next(polls) >= 2)
    (tmp_path / "cut" / ".partial.u8").unlink()
    sample_to_folder(model, tmp_path / "cut", plan, resume=True)
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")


def test_another_plan_is_refused_by_name(model: Model, tmp_path: Path) -> None:
    sample_to_folder(model, tmp_path / "out", plan_samples(model, 10))
    with pytest.raises(UsageError, match="seed: 0 then, 1 now"):
        sample_to_folder(model, tmp_path / "out", plan_samples(model, 10, seed=1), resume=True)
    with pytest.raises(UsageError, match="exists already"):
        sample_to_folder(model, tmp_path / "out", plan_samples(model, 10))
    sample_to_folder(model, tmp_path / "out", plan_samples(model, 3), force=True)
    assert len(list((tmp_path / "out").glob("*/*.png"))) == 3


def test_the_manifest_says_where_the_samples_come_from(model: Model, tmp_path: Path) -> None:
    sample_to_folder(model, tmp_path / "out", plan_samples(model, 40, labels=["bottom"]))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["finished"] is True
    assert manifest["counts"] == {"bottom": 40}
    assert manifest["plan"]["checkpoint_sha256"] == model.sha256
    assert manifest["model"]["data"]["fingerprint"] == model.header["data"]["fingerprint"]
    digests = [chunk["sha256"] for chunk in manifest["chunks"]]
    pixels = model.sample(40, labels="bottom")
    assert digests == [folder.digest(pixels[:32]), folder.digest(pixels[32:])]


def test_the_grid_shows_the_classes_in_rows(model: Model, tmp_path: Path) -> None:
    result = sample_to_folder(model, tmp_path / "out", plan_samples(model, 64))
    with Image.open(result.grid) as picture:
        assert picture.width > 2 * picture.height  # 2 rows of 10
        assert picture.width >= 300


def test_containers_come_in_shards(model: Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not as parquet"):
        sample_to_folder(model, tmp_path / "out", plan_samples(model, 10, format="parquet"))
    result = sample_shards(model, tmp_path / "out", 40, shards=2, part=(1, 2))
    assert result.made == [1] and not result.finished
    assert sample_shards(model, tmp_path / "out", 40, shards=2).finished


def test_a_full_disk_is_seen_before_any_work(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(SynthgenError, match="free"):
        sample_to_folder(model, tmp_path / "out", plan_samples(model, 10))
    assert not (tmp_path / "out").exists()


def test_going_on_needs_room_for_the_rest_only(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_samples(model, 10)
    sample_to_folder(model, tmp_path / "out", plan)
    usage = namedtuple("usage", "total used free")
    free = 64 * 2**20 + estimated_bytes(model, plan) - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - free, free))
    with pytest.raises(SynthgenError, match="free"):
        sample_to_folder(model, tmp_path / "new", plan)
    assert sample_to_folder(model, tmp_path / "out", plan, resume=True).count == 10


def test_a_manifest_that_is_not_ours_is_refused(model: Model, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sample_to_folder(model, out, plan_samples(model, 4))
    (out / "manifest.json").write_text("[]")
    with pytest.raises(SynthgenError, match="not a manifest"):
        sample_to_folder(model, out, plan_samples(model, 4), resume=True)


@pytest.mark.parametrize(
    "name", ["..", "a/b", "", ".hidden", "con:", "x" * 300, "tab\t", "back\\slash", "Shards", "manifest.json"]
)
def test_a_class_name_cannot_leave_the_folder(name: str) -> None:
    made = safe_name(name, 1, ("a", name))
    assert made.startswith("class-1") and not set(made) & set("/\\:\t") and len(made) < 100


@pytest.mark.parametrize("name", ["3", "T-shirt", "Ankle boot", "été", "猫"])
def test_plain_class_names_are_kept(name: str) -> None:
    assert safe_name(name, 0, (name,)) == name
