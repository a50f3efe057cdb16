"""Several synthetic sets side by side: one n, the real images read once, one ranking with its doubt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthgen import api
from synthgen.data.dataset import ImageData
from synthgen.errors import UsageError
from synthgen.evaluation.comparing import evaluate_sources, ranking
from synthgen.evaluation.domain import train_extractor
from synthgen.evaluation.extractors import Extractor
from tests.evaluation.conftest import QUICK, blobs

pytestmark = pytest.mark.usefixtures("one_thread")

Files = dict[str, Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Sets of blobs as npz files, and an extractor that was trained on others."""
    folder = tmp_path_factory.mktemp("sets")

    def save(name: str, data: ImageData) -> Path:
        path = folder / f"{name}.npz"
        assert data.labels is not None
        np.savez(path, images=data.images, labels=data.labels, class_names=np.array(data.class_names))
        return path

    train_extractor(blobs(300, seed=99), folder / "features.safetensors", recipe=QUICK, device="cpu")
    return {
        "real": save("real", blobs(300)),
        "good": save("good", blobs(150, seed=5)),
        "noisy": save("noisy", blobs(120, seed=6, noise=200)),
        "small": save("small", blobs(90, seed=7, size=8)),
        "features": folder / "features.safetensors",
    }


def test_several_are_compared_at_the_n_of_the_smallest_and_real_images_are_read_once(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    extract = Extractor.extract

    def counting(self: Extractor, images: np.ndarray, **options: Any) -> Any:
        read.append(len(images))
        return extract(self, images, **options)

    monkeypatch.setattr(Extractor, "extract", counting)
    sources = [str(files["good"]), str(files["noisy"])]
    found = evaluate_sources(
        str(files["real"]), sources, features=files["features"], metrics=["fid", "prc"], cache=False
    )
    assert [one.n for one in found.results] == [120, 120]
    assert sorted(read) == [120, 120, 120, 150]  # two fake sets, the floor, the reference
    first, second = found.results
    assert first.metrics["fid"].floor == second.metrics["fid"].floor
    assert first.metrics["fid"].value < second.metrics["fid"].value
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["kind"] == "synthgen-comparison"
    assert [one["fake"]["name"] for one in document["evaluations"]] == sources
    assert all(one["kind"] == "synthgen-evaluation" for one in document["evaluations"])
    assert ranking(found.results) is not None
    assert f"{files['good']} is nearest to the real images" in str(ranking(found.results))
    assert "cannot be told apart" in str(ranking([first, first]))
    assert ranking([first]) is None


def test_one_source_gives_the_plain_document_and_the_api_the_same(files: Files) -> None:
    source, features = str(files["good"]), files["features"]
    found = evaluate_sources(str(files["real"]), [source], features=features, metrics=["fid"], gates=["fid>100"])
    assert found.to_dict()["kind"] == "synthgen-evaluation" and found.results[0].gates[0].passed
    again = api.evaluate(files["real"], source, features=features, metrics=["fid"], gates=["fid>100"], device="cpu")
    assert again.to_dict() == found.to_dict()


def test_what_cannot_be_compared_is_refused(files: Files, tiny_run: Path) -> None:
    real, good = str(files["real"]), str(files["good"])
    with pytest.raises(UsageError, match=r"12 x 12 pixels, RGB, .* of 8 x 8 pixels, RGB"):
        evaluate_sources(real, [good, str(files["small"])])
    with pytest.raises(UsageError, match="is given twice"):
        evaluate_sources(real, [good, good])
    with pytest.raises(UsageError, match="no synthetic images were named"):
        evaluate_sources(real, [])
    with pytest.raises(UsageError, match="is a model, not images"):
        evaluate_sources(str(tiny_run), [good])


def test_a_run_is_sampled_without_a_file(tiny_run: Path, corners_npz: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Nothing is written anywhere below the working folder, the run, or the cache."""
    monkeypatch.setenv("SYNTHGEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*")}
    found = evaluate_sources(
        str(corners_npz), [str(tiny_run)], count=40, metrics=["memorised"], features="domain", device="cpu", cache=False
    )
    assert found.results[0].n == 40 == len(found.fakes[0])
    assert {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*")} == before
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [
        path.name for path in (tmp_path / "cache" / "extractors").iterdir()
    ]
