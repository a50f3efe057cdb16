"""Which part of a set this process makes: from a flag, a SLURM array, a Kubernetes indexed job, or RANK/WORLD_SIZE.

Imports nothing heavy: a command asks before it loads torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from synthgen.errors import UsageError

_SHARD_SAMPLES = 10_000
_SHARD_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Part:
    """Part `index` of `total` (None: as many as there are shards); source: the flag or variable that says so.

    The part makes the shards index, index + total, index + 2 total, ...
    """

    index: int
    total: int | None
    source: str

    def of(self, shards: int) -> range:
        """The shards that this part makes."""
        total = self.total or shards
        if self.index >= total:
            raise UsageError(
                f"{self.source} says part {self.index}, and there are {total} parts, counted from 0",
                "give --shard i/N with i below N",
            )
        return range(self.index, shards, total)


WHOLE = Part(0, 1, "")


def part_from_flag(text: str) -> Part:
    """`3/10` means part 3 of 10, counted from 0. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
    if not match:
        raise UsageError(f"--shard: '{text}' is not i/N", "for example --shard 0/10, the first of ten")
    index, total = int(match[1]), int(match[2])
    if total == 0 or index >= total:
        last = f"the last of {total} is {total - 1}/{total}" if total else "N is 1 or more"
        raise UsageError(f"--shard {text} is out of range: parts are counted from 0", last)
    return Part(index, total, "--shard")


def part_from_environment(environment: Mapping[str, str], *, cut: bool) -> Part | None:
    """The part that the surrounding system gave this process; None when it is alone.

    cut: --shards or --shard-size was given, which tells a Kubernetes job how many parts there are.
    Raises UsageError when variables contradict each other or leave the number of parts open.
    """
    found = [part for part in (_slurm(environment), _kubernetes(environment, cut), _ranks(environment)) if part]
    if len(found) > 1:
        names = " and ".join(part.source for part in found)
        raise UsageError(f"both {names} say which part this is", "say it with --shard i/N")
    return found[0] if found else None


def _slurm(environment: Mapping[str, str]) -> Part | None:
    name = "SLURM_ARRAY_TASK_ID"
    if name not in environment:
        return None
    task, total = _number(environment, name), _number(environment, "SLURM_ARRAY_TASK_COUNT")
    first, step = _number(environment, "SLURM_ARRAY_TASK_MIN", 0), _number(environment, "SLURM_ARRAY_TASK_STEP", 1)
    index, rest = divmod(task - first, max(step, 1))
    if rest or not 0 <= index < total:
        raise UsageError(
            f"{name}={task} is not one of {total} tasks counted from {first}: the array has gaps",
            "number the tasks 0 to N-1 (--array=0-9), or say which part this is with --shard i/N",
        )
    return Part(index, total, name) if total > 1 else None


def _kubernetes(environment: Mapping[str, str], cut: bool) -> Part | None:
    name = "JOB_COMPLETION_INDEX"
    if name not in environment:
        return None
    index = _number(environment, name)
    if not cut:
        raise UsageError(
            f"{name}={index} says that this is one of several tasks, and nothing says of how many",
            "give --shards N with the job's completions, or --shard 0/1 to make everything here",
        )
    return Part(index, None, name)


def _ranks(environment: Mapping[str, str]) -> Part | None:
    if "RANK" not in environment or "WORLD_SIZE" not in environment:
        return None
    index, total = _number(environment, "RANK"), _number(environment, "WORLD_SIZE")
    if total <= 1:
        return None
    if index >= total:
        raise UsageError(f"RANK={index} is not below WORLD_SIZE={total}", "say which part this is with --shard i/N")
    return Part(index, total, "RANK")


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environment.get(name)
    if text is None and default is not None:
        return default
    if text is None or not re.fullmatch(r"\d{1,9}", text):
        said = "is not set" if text is None else f"is '{text}', not a whole number"
        raise UsageError(f"{name} {said}", "say which part this is with --shard i/N")
    return int(text)


def shard_count(
    count: int, block_size: int, image_bytes: int, *, shards: int | None, shard_size: int | None, part: Part | None
) -> int:
    """How many shards: as asked; else as many as there are parts; else so that one has at most 10,000 samples.

    shard_size: samples per shard at most. image_bytes: of one decoded image, to bound a shard of large ones by 512 MB.
    """
    if shards is not None:
        return shards
    if shard_size is None and part is not None and part.total is not None and part.total > 1:
        return part.total
    if shard_size is not None and shard_size < block_size:
        raise UsageError(
            f"--shard-size must be {block_size} or more, not {shard_size}",
            "samples are made in blocks of that size (--block-size)",
        )
    size = shard_size or max(block_size, min(_SHARD_SAMPLES, _SHARD_BYTES // image_bytes))
    blocks = -(-count // block_size)
    return -(-blocks // (size // block_size))
