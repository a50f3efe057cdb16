"""Which part a process makes: what the flag and each scheduler's variables mean, and what is refused."""

from __future__ import annotations

import pytest

from synthgen.errors import UsageError
from synthgen.generation.sharding import WHOLE, Part, part_from_environment, part_from_flag, shard_count


def slurm(task: int, count: int, first: int = 0, step: int = 1) -> dict[str, str]:
    names = ("ID", "COUNT", "MIN", "STEP")
    return {f"SLURM_ARRAY_TASK_{name}": str(n) for name, n in zip(names, (task, count, first, step), strict=True)}


@pytest.mark.parametrize(
    ("environment", "index", "total", "source"),
    [
        (slurm(3, 10), 3, 10, "SLURM_ARRAY_TASK_ID"),
        (slurm(1, 10, first=1), 0, 10, "SLURM_ARRAY_TASK_ID"),
        (slurm(10, 10, first=1), 9, 10, "SLURM_ARRAY_TASK_ID"),
        (slurm(8, 5, first=0, step=2), 4, 5, "SLURM_ARRAY_TASK_ID"),
        ({"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "3"}, 2, 3, "SLURM_ARRAY_TASK_ID"),
        ({"JOB_COMPLETION_INDEX": "7"}, 7, None, "JOB_COMPLETION_INDEX"),
        ({"RANK": "1", "WORLD_SIZE": "4"}, 1, 4, "RANK"),
    ],
)
def test_schedulers_say_which_part(environment: dict[str, str], index: int, total: int | None, source: str) -> None:
    assert part_from_environment(environment, cut=True) == Part(index, total, source)


@pytest.mark.parametrize("environment", [{}, {"RANK": "0", "WORLD_SIZE": "1"}, {"RANK": "3"}, slurm(5, 1, first=5)])
def test_a_process_that_is_alone_makes_everything(environment: dict[str, str]) -> None:
    assert part_from_environment(environment, cut=False) is None
    assert list(WHOLE.of(7)) == list(range(7))


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (slurm(7, 3, first=1, step=1), "the array has gaps"),
        (slurm(2, 3, first=1, step=2), "the array has gaps"),
        ({"SLURM_ARRAY_TASK_ID": "2"}, "SLURM_ARRAY_TASK_COUNT is not set"),
        ({"SLURM_ARRAY_TASK_ID": "two", "SLURM_ARRAY_TASK_COUNT": "3"}, "'two', not a whole number"),
        ({"RANK": "4", "WORLD_SIZE": "4"}, "not below"),
        ({"RANK": "1", "WORLD_SIZE": "4", **slurm(1, 2)}, "both SLURM_ARRAY_TASK_ID and RANK"),
        ({"JOB_COMPLETION_INDEX": "7"}, "nothing says of how many"),
    ],
)
def test_contradictions_are_refused(environment: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        part_from_environment(environment, cut=False)


def test_the_flag() -> None:
    assert part_from_flag("3/10") == Part(3, 10, "--shard")
    for wrong in ("3", "3/", "a/b", "-1/3", "1/3/5", ""):
        with pytest.raises(UsageError, match="is not i/N"):
            part_from_flag(wrong)
    for wrong in ("3/3", "0/0"):
        with pytest.raises(UsageError, match="out of range"):
            part_from_flag(wrong)


@pytest.mark.parametrize(("shards", "total"), [(1, 1), (10, 3), (3, 10), (1000, 7)])
def test_the_parts_are_all_the_shards_once(shards: int, total: int) -> None:
    parts = [list(Part(index, total, "--shard").of(shards)) for index in range(total)]
    assert sorted(shard for part in parts for shard in part) == list(range(shards))
    assert list(Part(2, None, "JOB_COMPLETION_INDEX").of(5)) == [2]
    with pytest.raises(UsageError, match="5 parts, counted from 0"):
        Part(5, None, "JOB_COMPLETION_INDEX").of(5)


def test_how_many_shards() -> None:
    def ask(count: int, shards: int | None = None, size: int | None = None, part: Part | None = None) -> int:
        return shard_count(count, 32, 784, shards=shards, shard_size=size, part=part)

    assert ask(10**6, shards=1000) == 1000
    assert ask(10**6, part=Part(3, 50, "RANK")) == 50
    assert ask(10**6, shards=1000, part=Part(3, 50, "RANK")) == 1000
    assert ask(10**6, part=WHOLE) == ask(10**6) == -(-31250 // (10_000 // 32))
    assert ask(5) == 1
    assert shard_count(10**4, 32, 3 * 1024**2, shards=None, shard_size=None, part=None) == 63  # 512 MB are 170 images
    for count in (1, 31, 32, 33, 999, 12_345):
        for size in (32, 33, 64, 500):
            shards, blocks = ask(count, size=size), -(-count // 32)
            assert -(-blocks // shards) * 32 <= size, "no shard is larger than asked for"
    with pytest.raises(UsageError, match="--shard-size must be 32 or more"):
        ask(100, size=31)
