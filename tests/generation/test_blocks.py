"""How many samples are computed together: by memory on a GPU, as the model says on a CPU, as the set was begun."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from synthgen.generation.blocks import MOST, fitting_block, halved_until_it_fits, largest_block
from synthgen.generation.model import Model, load
from tests.conftest import Cli

pytestmark = pytest.mark.usefixtures("one_thread")


def full_above(limit: int, tried: list[int]) -> object:
    def attempt(size: int) -> None:
        tried.append(size)
        if size > limit:
            raise torch.OutOfMemoryError(f"CUDA out of memory: {size}")

    return attempt


@pytest.mark.parametrize(("limit", "found"), [(1024, 512), (512, 512), (100, 64), (1, 1)])
def test_memory_that_runs_out_halves_the_block(limit: int, found: int) -> None:
    tried: list[int] = []
    assert halved_until_it_fits(512, full_above(limit, tried)) == found  # type: ignore[arg-type]
    assert tried == [512 >> turn for turn in range(len(tried))] and tried[-1] == found


def test_what_does_not_fit_at_all_and_what_is_no_lack_of_memory_are_errors() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        halved_until_it_fits(8, full_above(0, []))  # type: ignore[arg-type]

    def wrong(size: int) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        halved_until_it_fits(8, wrong)


@pytest.mark.parametrize(
    ("count", "needed", "free", "found"),
    [
        (60_000, 2**20, 2**36, MOST),  # where memory is no matter
        (60_000, 2**20, 2**24, 32 * 16),  # 16 times what a block of 32 takes
        (60_000, 2**20, 2**19, 32),  # what was tried fits
        (100, 2**20, 2**36, 64),  # no more than there are samples
        (10, 2**20, 2**36, 32),
    ],
)
def test_blocks_grow_as_far_as_memory_and_count_allow(count: int, needed: int, free: int, found: int) -> None:
    assert largest_block(32, count, needed, free) == found


def test_a_cpu_keeps_the_models_own_size(tiny_run: Path) -> None:
    model = load(tiny_run, device="cpu")
    assert isinstance(model, Model)
    assert fitting_block(model, model.recipe(), 10**6) == model.recipe().block_size == 16


@pytest.mark.cuda
def test_a_gpu_takes_larger_blocks(tiny_run: Path) -> None:
    model = load(tiny_run, device="cuda")
    assert isinstance(model, Model)
    size = fitting_block(model, model.recipe(), 10**6)
    assert size == MOST
    assert len(model.engine(replace(model.recipe(), block_size=size)).pixels(range(70), None, 0)) == 70


def plan_of(out: Path) -> dict[str, object]:
    recipe: dict[str, object] = json.loads((out / "manifest.json").read_text())["plan"]["recipe"]
    return recipe


def test_the_block_is_the_users_or_that_of_the_set(tiny_run: Path, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "a"
    words = ("sample", tiny_run, "--count", 20, "--out", out)
    result = cli(*words, "--block-size", 4)
    assert result.returncode == 0 and plan_of(out)["block_size"] == 4
    assert cli(*words, "--resume").returncode == 0  # as it was begun
    result = cli(*words, "--resume", "--block-size", 8)
    assert result.returncode == 2 and "recipe.block_size: 4 then, 8 now" in result.stderr
    assert cli(*words, "--force").returncode == 0 and plan_of(out)["block_size"] == 16


def test_a_table_knows_no_blocks(table_run: Path, cli: Cli) -> None:
    result = cli("sample", table_run, "--block-size", 4, "--dry-run")
    assert result.returncode == 2 and "--block-size belongs to a model of images" in result.stderr
