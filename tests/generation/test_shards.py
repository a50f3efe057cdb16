"""Sets in shards: made alone, in any order, by anybody, once; checked, merged, and refused where they do not fit."""

from __future__ import annotations

import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.generation.folder import sample_to_folder
from synthgen.generation.making import ShardsResult, sample_to_shards
from synthgen.generation.merge import merge_samples
from synthgen.generation.model import Model, load
from synthgen.generation.plan import SamplePlan, plan_samples
from synthgen.generation.sharding import WHOLE, Part
from synthgen.generation.verify import verify_samples
from synthgen.reporting import NullReporter

pytestmark = pytest.mark.usefixtures("one_thread")

COUNT = 100
"""7 blocks of 16, the last with 4 samples."""
FORMATS = ["parquet", "webdataset", "png", "npz", "idx"]


class Listener(NullReporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    return load(tiny_run, device="cpu")


def make(model: Model, out: Path, format_: str = "parquet", shards: int = 3, part: Part = WHOLE) -> ShardsResult:
    return sample_to_shards(model, str(out), plan_of(model, format_, shards), part)


def plan_of(model: Model, format_: str = "parquet", shards: int = 3) -> SamplePlan:
    return plan_samples(model, COUNT, seed=2, format=format_, shards=shards)


def tree(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize("format_", FORMATS)
def test_any_shard_alone_is_that_of_a_full_run(model: Model, tmp_path: Path, format_: str) -> None:
    whole = make(model, tmp_path / "whole", format_)
    assert whole.finished and whole.made == [0, 1, 2] and whole.count == COUNT
    reference = tree(tmp_path / "whole")
    for shard in (2, 0, 1):
        alone = make(model, tmp_path / f"alone-{shard}", format_, part=Part(shard, 3, "test"))
        assert alone.made == [shard] and not alone.finished and alone.missing == 2
        made = tree(tmp_path / f"alone-{shard}")
        record = f"shards/{shard:05d}-of-00003.json"
        files = [file["name"] for file in json.loads(made[record])["files"]]
        assert files and {name: made[name] for name in [record, *files]} == {
            name: reference[name] for name in [record, *files]
        }
        others = {name for name in made if name.startswith("data/") or (name.count("/") and name.endswith(".png"))}
        assert others == set(files), "no other shard was touched"


@pytest.mark.parametrize(("workers", "shards", "format_"), [(1, 7, "webdataset"), (2, 3, "parquet"), (3, 5, "idx")])
def test_workers_shard_sizes_and_order_change_nothing(
    model: Model, tmp_path: Path, workers: int, shards: int, format_: str
) -> None:
    sample_to_folder(model, tmp_path / "one", plan_samples(model, COUNT, seed=2, format="npz"))
    order = np.random.default_rng(workers).permutation(workers)
    torch.set_num_threads(workers)
    results = [make(model, tmp_path / "set", format_, shards, Part(int(i), workers, "test")) for i in order]
    assert [result.finished for result in results] == [False] * (workers - 1) + [True]
    assert sorted(shard for result in results for shard in result.made) == list(range(shards))
    merge_samples(tmp_path / "set", tmp_path / "merged", format="npz")
    assert tree(tmp_path / "merged") == tree(tmp_path / "one"), "as one process would have made it, byte for byte"


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_merges_into_what_one_process_makes(model: Model, tmp_path: Path, format_: str) -> None:
    make(model, tmp_path / "set", format_)
    sample_to_folder(model, tmp_path / "one", plan_samples(model, COUNT, seed=2, format="png"))
    result = merge_samples(tmp_path / "set", tmp_path / "merged", format="png")
    assert result.counts == {"top": 50, "bottom": 50} and result.shards is None
    assert tree(tmp_path / "merged") == tree(tmp_path / "one")
    assert verify_samples(tmp_path / "merged").whole
    kept = merge_samples(tmp_path / "set", tmp_path / "shards", format="webdataset")
    assert kept.shards == 3
    make(model, tmp_path / "direct", "webdataset")
    assert tree(tmp_path / "shards") == tree(tmp_path / "direct")


def test_a_finished_shard_is_never_made_again(model: Model, tmp_path: Path) -> None:
    make(model, tmp_path / "set")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*") if path.is_file()}
    again = make(model, tmp_path / "set")
    assert (again.made, again.kept, again.count, again.finished) == ([], 3, 0, True)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "manifest", "no manifest"])
def test_a_damaged_shard_is_named_and_made_again(model: Model, tmp_path: Path, damage: str) -> None:
    out = tmp_path / "set"
    make(model, out)
    reference = tree(out)
    data, record = out / "data" / "train-00001-of-00003.parquet", out / "shards" / "00001-of-00003.json"
    content = data.read_bytes()
    if damage == "flip":
        data.write_bytes(content[:500] + bytes([content[500] ^ 1]) + content[501:])
    elif damage == "cut":
        data.write_bytes(content[:-7])
    elif damage == "gone":
        data.unlink()
    elif damage == "manifest":
        record.write_text('{"kind": "synthgen-shard", "plan": {}, "files": [{"name": "../../etc/passwd"}]}')
    else:
        record.unlink()
    report = verify_samples(out)
    assert not report.whole
    named = report.missing + report.damaged
    assert len(named) == 1 and "shard 1 of 3" in named[0] and report.extra == []
    with pytest.raises(SynthgenError, match="shard 1: "):
        merge_samples(out)
    listener = Listener()
    result = sample_to_shards(model, str(out), plan_of(model), reporter=listener)
    assert (result.made, result.kept) == ([1], 2)
    assert [text for text in listener.warnings if "shard 1 of 3" in text] or damage == "no manifest"
    assert tree(out) == reference


def test_what_does_not_belong_is_named(model: Model, tmp_path: Path) -> None:
    make(model, tmp_path / "set")
    for name in ("data/train-00007-of-00003.parquet", "data/notes.txt", "shards/00003-of-00004.json"):
        (tmp_path / "set" / name).write_bytes(b"x")
    report = verify_samples(tmp_path / "set")
    assert len(report.extra) == 3 and not report.missing and not report.damaged and not report.whole
    make(model, tmp_path / "pictures", "png")
    (tmp_path / "pictures" / "top" / "000001.png").write_bytes(b"x")  # sample 1 is of the other class
    assert verify_samples(tmp_path / "pictures").extra == ["top/000001.png"]


def test_shards_of_two_plans_are_kept_apart(model: Model, tmp_path: Path) -> None:
    make(model, tmp_path / "set", part=Part(0, 3, "test"))
    other = plan_samples(model, COUNT, seed=3, format="parquet", shards=3)
    with pytest.raises(UsageError, match="seed: 2 then, 3 now"):
        sample_to_shards(model, str(tmp_path / "set"), other)
    with pytest.raises(UsageError, match="shards: 3 then, 5 now"):
        make(model, tmp_path / "set", shards=5)
    sample_to_shards(model, str(tmp_path / "other"), other)
    make(model, tmp_path / "set", part=Part(1, 3, "test"))
    for name in ("shards/00002-of-00003.json", "data/train-00002-of-00003.parquet"):
        (tmp_path / "set" / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises(UsageError, match=r"shard 2 of 3: it is of another plan \(seed: 3 then, 2 now\)"):
        merge_samples(tmp_path / "set")
    with pytest.raises(UsageError, match=r"00002-of-00003.json: it is of another plan"):
        make(model, tmp_path / "set")
    assert "another plan" in verify_samples(tmp_path / "set").damaged[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"versions": {"torch": "1.0"}}, "versions.torch"),
        ({"numerics": {"processor": "abacus"}}, "numerics.processor: "),
        ({"checkpoint_sha256": "f" * 64}, "checkpoint_sha256"),
        ({"precision": "bfloat16"}, "precision: float32 then, bfloat16 now"),
        ({"format": "npz"}, "format: parquet then, npz now"),
    ],
)
def test_a_resume_that_differs_is_refused(
    model: Model, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    make(model, tmp_path / "set", part=Part(0, 3, "test"))
    before = tree(tmp_path / "set")
    with pytest.raises(UsageError, match=message):
        sample_to_shards(model, str(tmp_path / "set"), replace(plan_of(model), **change))  # type: ignore[arg-type]
    assert tree(tmp_path / "set") == before


def test_a_stop_keeps_whole_shards_and_leaves_no_half_one(model: Model, tmp_path: Path) -> None:
    polls = iter(range(100))
    with pytest.raises(StoppedError, match="after 1 of 3 shards"):
        sample_to_shards(model, str(tmp_path / "set"), plan_of(model), should_stop=lambda: next(polls) >= 3)
    assert [path.name for path in (tmp_path / "set" / "data").iterdir()] == ["train-00000-of-00003.parquet"]
    assert not list((tmp_path / "set").glob(".partial-*"))
    make(model, tmp_path / "set")
    make(model, tmp_path / "whole")
    assert tree(tmp_path / "set") == tree(tmp_path / "whole")


def test_what_a_killed_process_left_is_cleared(model: Model, tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)  # a process of this machine that is no more
    make(model, tmp_path / "set", part=Part(0, 3, "test"))
    host = os.uname().nodename
    dead = tmp_path / "set" / f".partial-00001-of-00003-{host}-{pid}"
    alive = tmp_path / "set" / f".partial-00001-of-00003-{host}-{os.getppid()}"
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "samples.parquet").write_bytes(b"half")
    make(model, tmp_path / "set", part=Part(1, 3, "test"))
    assert not dead.exists() and alive.exists(), "who still works is left alone"
    make(model, tmp_path / "set", part=Part(2, 3, "test"))
    assert not alive.exists(), "the set is finished: nobody works here"


def test_other_folders_are_left_alone(model: Model, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years")
    with pytest.raises(UsageError, match="exists already"):
        make(model, tmp_path / "thesis")
    with pytest.raises(UsageError, match="was not made by synthgen"):
        sample_to_shards(model, str(tmp_path / "thesis"), plan_of(model), force=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="not a plain folder"):
        make(model, tmp_path / "file")
    assert tree(tmp_path) == {"thesis/chapter.tex": b"years", "file": b"x"}


def test_force_is_for_who_makes_everything(model: Model, tmp_path: Path) -> None:
    make(model, tmp_path / "set")
    other = plan_samples(model, 40, format="npz", shards=2)
    with pytest.raises(UsageError, match="what the other parts made"):
        sample_to_shards(model, str(tmp_path / "set"), other, Part(0, 2, "test"), force=True)
    sample_to_shards(model, str(tmp_path / "set"), other, force=True)
    assert sorted(path.name for path in (tmp_path / "set" / "data").iterdir()) == [
        "train-00000-of-00002.npz",
        "train-00001-of-00002.npz",
    ]


def test_the_manifest_of_the_whole(model: Model, tmp_path: Path) -> None:
    make(model, tmp_path / "set")
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert manifest["finished"] is True and manifest["counts"] == {"top": 50, "bottom": 50}
    plan = manifest["plan"]
    assert plan["checkpoint_sha256"] == model.sha256 and plan["seed"] == 2 and plan["shards"] == 3
    assert plan["recipe"]["sampler"] and plan["numerics"]["threads_per_block"] == 1 and plan["versions"]["torch"]
    assert [shard["count"] for shard in manifest["shards"]] == [32, 32, 36]
    assert all(len(file["sha256"]) == 64 for shard in manifest["shards"] for file in shard["files"])
    assert manifest["model"]["data"]["fingerprint"] == model.header["data"]["fingerprint"]


def test_merging_in_place_describes_what_is_there(model: Model, tmp_path: Path) -> None:
    for shard in range(3):
        make(model, tmp_path / "set", part=Part(shard, 3, "test"))
    reference = tree(tmp_path / "set")
    manifest = json.loads(reference["manifest.json"])
    unfinished = {**manifest, "finished": False, "shards": []}
    (tmp_path / "set" / "manifest.json").write_text(json.dumps(unfinished))  # the last part died before it said so
    (tmp_path / "set" / "README.md").unlink()
    report = verify_samples(tmp_path / "set")
    assert report.whole and not report.finished
    merge_samples(tmp_path / "set")
    assert tree(tmp_path / "set") == reference
    with pytest.raises(UsageError, match="needs a place of its own"):
        merge_samples(tmp_path / "set", format="npz")


@pytest.mark.parametrize("format_", ["png", "npz", "idx"])
def test_a_set_of_one_process_is_verified_too(model: Model, tmp_path: Path, format_: str) -> None:
    out = tmp_path / "set"
    sample_to_folder(model, out, plan_samples(model, COUNT, format=format_))
    assert verify_samples(out).whole
    with pytest.raises(UsageError, match="one set already"):
        merge_samples(out)
    target = {"png": "top/000004.png", "npz": "samples.npz", "idx": "labels-idx1-ubyte.gz"}[format_]
    content = (out / target).read_bytes()
    (out / target).write_bytes(content[: len(content) // 2])
    report = verify_samples(out)
    assert len(report.damaged) == 1 and "chunk 0" in report.damaged[0] and target in report.damaged[0]
    (out / target).unlink()
    assert "is missing" in verify_samples(out).damaged[0]


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        ("chunks", [], "describes 0 of 4"),
        ("chunks", ["x"], "does not describe its chunks"),
        ("chunks", [{"start": 0, "count": 0, "sha256": ""}], "chunks without samples"),
        ("plan.format", ["npz"], "cannot be read"),
        ("plan.count", 10**30, "cannot be read"),
        ("plan.recipe.block_size", 1.5, "cannot be read"),
        ("plan.versions", [], "cannot be read"),
        ("class_names", ["\\ud800", "b"], "does not describe its samples"),
        ("model.data", None, "does not describe its samples"),
    ],
)
def test_a_manifest_that_lies_is_never_whole(
    model: Model, tmp_path: Path, where: str, value: object, says: str
) -> None:
    out = tmp_path / "set"
    sample_to_folder(model, out, plan_samples(model, 4, format="npz"))
    document = json.loads((out / "manifest.json").read_text())
    *parts, last = where.split(".")
    inner = document
    for part in parts:
        inner = inner[part]
    inner[last] = value
    (out / "manifest.json").write_text(json.dumps(document).replace("\\\\ud800", "\\ud800"))
    try:
        problems = verify_samples(out).damaged
    except SynthgenError as error:
        problems = [error.message]
    assert len(problems) == 1 and says in problems[0]


@pytest.mark.parametrize("place", ["set", ".", "set/inside", "link"])
def test_a_set_is_never_merged_onto_itself(model: Model, tmp_path: Path, place: str) -> None:
    make(model, tmp_path / "set")
    (tmp_path / "link").symlink_to(tmp_path / "set")
    (tmp_path / ".synthgen").touch()
    before = tree(tmp_path / "set")
    for format_ in ("png", "parquet"):
        with pytest.raises(UsageError, match="lie in each other"):
            merge_samples(tmp_path / "set", tmp_path / place, format=format_, force=True)
    assert tree(tmp_path / "set") == before


def test_a_url_of_this_machine_is_a_path(model: Model, tmp_path: Path) -> None:
    make(model, tmp_path / "set")
    merge_samples(tmp_path / "set", f"file://{tmp_path}/one", format="npz")
    assert (tmp_path / "one" / "samples.npz").is_file()
    assert verify_samples(f"file://{tmp_path}/one").whole


def test_a_sparse_member_of_a_tar_is_no_image(model: Model, tmp_path: Path) -> None:
    """GNU tar can say in a few bytes that a file is a terabyte of zeros."""
    make(model, tmp_path / "set", "webdataset")
    shard = tmp_path / "set" / "data" / "train-00000-of-00003.tar"
    with tarfile.open(shard, "w", format=tarfile.GNU_FORMAT) as tar:
        member = tarfile.TarInfo("000000000.png")
        member.type = tarfile.GNUTYPE_SPARSE
        tar.addfile(member)
    content = bytearray(shard.read_bytes())
    content[386:398], content[398:410], content[483:495] = (
        b"00000000000\0",
        b"00000000000\0",
        b"\x80" + b"\0" * 6 + b"\x80\0\0\0\0",
    )
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    shard.write_bytes(content)
    with pytest.raises(SynthgenError, match="where it should be"):
        merge_samples(tmp_path / "set", tmp_path / "one", format="npz")


def test_a_compressed_parquet_is_none_of_ours(model: Model, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    make(model, tmp_path / "set")
    shard = tmp_path / "set" / "data" / "train-00000-of-00003.parquet"
    pq.write_table(pq.read_table(shard), shard, compression="zstd")
    with pytest.raises(SynthgenError, match="compressed"):
        merge_samples(tmp_path / "set", tmp_path / "one", format="npz")


def test_nothing_and_nonsense_are_no_sets(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no set of samples"):
        verify_samples(tmp_path / "nothing")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(SynthgenError, match="not a manifest of ours"):
        verify_samples(tmp_path)
