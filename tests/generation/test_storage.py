"""Sets elsewhere than in a folder: memory, and an S3 that runs beside the test."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from synthgen.errors import SynthgenError, UsageError
from synthgen.generation.making import sample_to_shards
from synthgen.generation.merge import merge_samples
from synthgen.generation.model import Model, load
from synthgen.generation.plan import plan_samples
from synthgen.generation.sharding import Part
from synthgen.generation.storage import is_remote, open_store, read
from synthgen.generation.verify import verify_samples

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    return load(tiny_run, device="cpu")


@pytest.fixture
def memory() -> Iterator[str]:
    import fsspec

    yield "memory://bucket/set"
    objects = fsspec.filesystem("memory")  # the one of the process
    objects.store.clear()
    objects.pseudo_dirs[:] = [""]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of a local S3 with an empty bucket `samples`."""
    server_module = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    import botocore.session

    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        server = server_module.ThreadedMotoServer(port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        botocore.session.get_session().create_client("s3").create_bucket(Bucket="samples")
        yield "s3://samples"
        server.stop()


@pytest.mark.parametrize("format_", ["parquet", "png", "idx"])
def test_a_set_in_memory_is_a_set(model: Model, memory: str, tmp_path: Path, format_: str) -> None:
    plan = plan_samples(model, 70, seed=1, format=format_, shards=3)
    for index in (2, 0, 1):
        result = sample_to_shards(model, memory, plan, Part(index, 3, "test"))
    assert result.finished and verify_samples(memory).whole
    assert sample_to_shards(model, memory, plan).kept == 3
    merge_samples(memory, tmp_path / "local", format="npz")
    with np.load(tmp_path / "local" / "samples.npz") as merged:
        np.testing.assert_array_equal(merged["images"], model.sample(70, seed=1))


def test_objects_are_the_bytes_of_a_local_set(model: Model, memory: str, tmp_path: Path) -> None:
    plan = plan_samples(model, 70, format="webdataset", shards=2)
    sample_to_shards(model, memory, plan)
    sample_to_shards(model, str(tmp_path / "set"), plan)
    store = open_store(memory)
    for path in (path for path in (tmp_path / "set").rglob("*") if path.is_file() and path.name[0] != "."):
        assert read(store, path.relative_to(tmp_path / "set").as_posix()) == path.read_bytes(), path


def test_a_shard_without_its_manifest_does_not_count(model: Model, memory: str) -> None:
    """What a kill between the upload of the data and of the manifest leaves is made again."""
    import fsspec

    plan = plan_samples(model, 70, shards=2, format="parquet")
    sample_to_shards(model, memory, plan)
    objects = fsspec.filesystem("memory")
    objects.rm("/bucket/set/shards/00001-of-00002.json")
    objects.pipe_file("/bucket/set/data/train-00001-of-00002.parquet", b"half of it")
    assert verify_samples(memory).missing == ["shard 1 of 2"]
    assert sample_to_shards(model, memory, plan).made == [1]
    assert verify_samples(memory).whole


def test_s3_holds_a_set(model: Model, s3: str, tmp_path: Path) -> None:
    out, plan = f"{s3}/deep/set", plan_samples(model, 70, seed=1, format="parquet", shards=2)
    assert not sample_to_shards(model, out, plan, Part(1, 2, "test")).finished
    assert sample_to_shards(model, out, plan, Part(0, 2, "test")).finished
    assert verify_samples(out).whole
    manifest = json.loads(read(open_store(out), "manifest.json") or b"")
    assert manifest["finished"] is True and len(manifest["shards"]) == 2
    import pyarrow.parquet as pq
    import s3fs

    files = s3fs.S3FileSystem()
    table = pq.read_table("samples/deep/set/data/train-00000-of-00002.parquet", filesystem=files)
    assert table.num_rows == 32 and table.column("label").to_pylist()[:3] == [0, 1, 0]
    files.pipe_file("samples/deep/set/data/train-00000-of-00002.parquet", b"cut")
    assert "shard 0 of 2" in verify_samples(out).damaged[0]
    assert sample_to_shards(model, out, plan).made == [0]
    merge_samples(out, tmp_path / "local", format="npz")
    with np.load(tmp_path / "local" / "samples.npz") as merged:
        np.testing.assert_array_equal(merged["images"], model.sample(70, seed=1))
    with pytest.raises(UsageError, match="seed: 1 then, 4 now"):
        sample_to_shards(model, out, plan_samples(model, 70, seed=4, format="parquet", shards=2))
    sample_to_shards(model, out, plan_samples(model, 20, seed=4, format="npz", shards=1), force=True)
    assert open_store(out).entries() == ["README.md", "data", "grid.png", "manifest.json", "shards"]
    assert verify_samples(out).whole


def test_a_bucket_that_is_not_there_is_said_before_any_work(model: Model, s3: str) -> None:
    with pytest.raises(SynthgenError, match="no-such-bucket"):
        sample_to_shards(model, "s3://no-such-bucket/set", plan_samples(model, 70, format="npz", shards=2))


def test_a_bucket_outlives_its_set(model: Model, s3: str) -> None:
    import botocore.session

    botocore.session.get_session().create_client("s3").create_bucket(Bucket="whole-bucket")
    bucket = "s3://whole-bucket"
    plan = plan_samples(model, 20, seed=2, format="parquet", shards=1)
    sample_to_shards(model, bucket, plan)
    other = plan_samples(model, 20, seed=3, format="parquet", shards=1)
    assert sample_to_shards(model, bucket, other, force=True).finished
    assert verify_samples(bucket).whole


def test_a_place_of_somebody_else_is_left_alone(model: Model, memory: str) -> None:
    open_store(memory).write("thesis.tex", b"years")
    plan = plan_samples(model, 20, format="npz", shards=1)
    for force in (False, True):
        with pytest.raises(UsageError, match=r"exists already|not made by synthgen"):
            sample_to_shards(model, memory, plan, force=force)
    assert open_store(memory).entries() == ["thesis.tex"]


def test_what_is_a_url() -> None:
    assert is_remote("s3://bucket/dir") and is_remote("memory://x")
    assert not is_remote("C:\\data") and not is_remote("a/b") and not is_remote("file:///tmp/x")


def test_missing_libraries_and_unknown_places_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    known = importlib.import_module("fsspec.registry")  # fsspec has an attribute of that name, too
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(known._registry, "s3", raising=False)
    with pytest.raises(UsageError, match="needs the package s3fs") as caught:
        open_store("s3://bucket/dir")
    assert caught.value.hint == 'pip install "synthgen[s3]"'
    with pytest.raises(UsageError, match="nonsense"):
        open_store("nonsense://bucket")
