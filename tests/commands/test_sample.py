"""`synthgen sample` in shards, `sample verify`, `sample merge`, as a shell sees them; in this process, to be quick."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from synthgen.cli import app
from synthgen.commands.sample_choices import Format
from synthgen.console.boundary import run
from synthgen.generation.tables.plan import FORMATS as TABLE_FORMATS
from synthgen.generation.writers import FORMATS

Shell = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def shell(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """shell("sample", "RUN", ..., SLURM_ARRAY_TASK_ID=3) -> exit code, stdout, stderr; in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*words: object, **environment: object) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, str(value))
            code = run(app, [str(tiny_run) if word == "RUN" else str(word) for word in words])
        streams = capsys.readouterr()
        return int(code), streams.out, streams.err

    return call


def test_the_formats_of_the_command_are_those_of_the_core() -> None:
    of_rows = [name for name in TABLE_FORMATS if name not in FORMATS]
    assert [format_.value for format_ in Format] == [*FORMATS, *of_rows]


def test_the_plain_command_is_what_it_was(shell: Shell, tmp_path: Path) -> None:
    code, out, _ = shell("sample", "RUN", "--count", 5, "--quiet")
    assert (code, out) == (0, "synthetic\n")
    assert len(list((tmp_path / "synthetic").glob("*/*.png"))) == 5
    assert not (tmp_path / "synthetic" / "shards").exists()
    assert shell("sample", "verify", "synthetic", "--quiet")[:2] == (0, "whole\n")


def test_parts_make_a_set_that_is_verified_and_merged(shell: Shell, tmp_path: Path) -> None:
    ask = ("sample", "RUN", "--count", 60, "--shards", 3, "--out", "set")
    code, out, err = shell(*ask, "--json", SLURM_ARRAY_TASK_ID=2, SLURM_ARRAY_TASK_COUNT=3, SLURM_ARRAY_TASK_MIN=1)
    found = json.loads(out)
    assert code == 0 and found["shards_made"] == [1] and found["format"] == "parquet" and not found["finished"]
    assert "making shard 1 of 3, counted from 0 (from SLURM_ARRAY_TASK_ID)" in err
    code, out, err = shell("sample", "verify", "set")
    assert code == 1 and "missing: shard 0 of 3\nmissing: shard 2 of 3\n" in out and "set is not whole" in err
    assert shell("sample", "merge", "set")[0] == 1
    code, out, err = shell(*ask, JOB_COMPLETION_INDEX=0)
    assert code == 0 and "(from JOB_COMPLETION_INDEX)" in err and "1 of 3 shards are still to be made" in out
    code, out, err = shell(*ask, "--shard", "2/3", RANK=0, WORLD_SIZE=5)
    assert code == 0 and "making shard 2 of 3, counted from 0 (from --shard)" in err
    assert "the set is complete: 60 samples" in out and "next: synthgen sample verify set" in err
    code, out, _ = shell(*ask, "--resume")
    assert code == 0 and "0 shards made in set, 3 there already" in out
    code, out, _ = shell("sample", "verify", "set", "--json")
    assert code == 0 and json.loads(out)["whole"] is True
    assert shell("sample", "merge", "set", "--out", "one", "--format", "npz", "--quiet")[:2] == (0, "one\n")
    assert shell("sample", "RUN", "--count", 60, "--format", "npz", "--out", "direct", "--quiet")[0] == 0
    with np.load(tmp_path / "one" / "samples.npz") as one, np.load(tmp_path / "direct" / "samples.npz") as direct:
        np.testing.assert_array_equal(one["images"], direct["images"])


def test_a_million_samples_are_planned_and_nothing_is_made(shell: Shell, tmp_path: Path) -> None:
    code, out, _ = shell("sample", "RUN", "--count", 10**6, "--shard", "17/1000", "--dry-run", "--json")
    plan = json.loads(out)
    assert code == 0 and plan["shards"] == 1000 and plan["samples_of_part"] == 1008
    assert plan["part"] == {"index": 17, "total": 1000, "source": "--shard"}
    code, out, _ = shell("sample", "RUN", "--count", 10**6, "--shard-size", 5000, "--dry-run")
    assert code == 0 and "201 of about" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--shards", "2", "--shard-size", "32"], {}, "give one of them"),
        (["--shard", "2/2"], {}, "--shard 2/2 is out of range"),
        (["--shard", "half"], {}, "'half' is not i/N"),
        (["--shards", "99"], {}, "between 1 and 4 shards are possible, not 99"),
        (["--shard-size", "3"], {}, "--shard-size must be 16 or more"),
        ([], {"JOB_COMPLETION_INDEX": "3"}, "nothing says of how many"),
        ([], {"RANK": "0", "WORLD_SIZE": "2", "JOB_COMPLETION_INDEX": "1"}, "nothing says of how many"),
        (["--shards", "2", "--force"], {"RANK": "0", "WORLD_SIZE": "2"}, "what the other parts made"),
        (["--out", "nonsense://x"], {}, "not a place that fsspec knows"),
        (["--format", "jpeg"], {}, "'jpeg' is not one of"),
    ],
)
def test_wrong_requests_begin_nothing(
    shell: Shell, tmp_path: Path, arguments: list[str], environment: dict[str, str], message: str
) -> None:
    code, out, err = shell("sample", "RUN", "--count", 60, *arguments, **environment)
    assert (code, out) == (2, "") and message in err and err.count("error:") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_verb_without_a_set(shell: Shell) -> None:
    for verb in ("verify", "merge"):
        code, out, err = shell("sample", verb, "nothing")
        assert (code, out) == (2, "") and "there is no set of samples in nothing" in err
        assert shell("sample", verb)[2].startswith("error: missing argument 'DIR'\nhint: synthgen sample")


def test_more_tasks_than_shards_is_no_mistake(shell: Shell) -> None:
    code, out, err = shell("sample", "RUN", "--count", 30, "--shards", 1, "--shard", "4/5", "--quiet")
    assert code == 0 and out == "synthetic\n"
    code, _, err = shell("sample", "RUN", "--count", 30, "--shards", 1, "--shard", "4/5")
    assert code == 0 and "nothing to make" in err
