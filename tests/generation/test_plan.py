"""The plan of a set: bounds of shards, labels of samples, and what a request of any size costs."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthgen.errors import SynthgenError, UsageError
from synthgen.generation.engine import Recipe
from synthgen.generation.model import Model, load
from synthgen.generation.plan import Labels, SamplePlan, differences, plan_from_dict, plan_samples


def plan_of(count: int, shards: int | None = None, labels: tuple[int, ...] = (), block: int = 32) -> SamplePlan:
    recipe = Recipe(block_size=block)
    return SamplePlan("0" * 64, count, 0, labels, recipe, "npz", "float32", "cpu", "2", {"torch": "2"}, {}, shards)


@given(count=st.integers(1, 10**9), block=st.integers(1, 64), data=st.data())
def test_shards_share_all_blocks_evenly(count: int, block: int, data: st.DataObject) -> None:
    blocks = -(-count // block)
    plan = plan_of(count, data.draw(st.integers(1, min(blocks, 50))), block=block)
    assert plan.shards is not None
    bounds = [plan.bounds(shard) for shard in range(plan.shards)]
    assert bounds[0][0] == 0 and bounds[-1][1] == count
    assert all(left[1] == right[0] for left, right in pairwise(bounds))
    assert all(start % block == 0 for start, _ in bounds)
    sizes = [-(-(stop - start) // block) for start, stop in bounds]
    assert max(sizes) - min(sizes) <= 1 and min(sizes) >= 1


@given(wanted=st.lists(st.integers(0, 4), max_size=7), start=st.integers(0, 10**12), length=st.integers(0, 40))
def test_labels_and_their_counts_without_counting(wanted: list[int], start: int, length: int) -> None:
    labels = Labels(plan_of(10, labels=tuple(wanted)), list("abcde"))
    found = labels(start, start + length)
    period = wanted or list(range(5))
    assert found is not None and found.tolist() == [period[k % len(period)] for k in range(start, start + length)]
    assert labels.counts(start, start + length) == {
        name: found.tolist().count(index) for index, name in enumerate("abcde") if index in found
    }
    assert labels.present(start, start + length) == sorted(set(found.tolist()))
    assert [label for part in labels.parts(start, start + length) for label in part] == found.tolist()


def test_an_unconditional_model_has_no_labels() -> None:
    labels = Labels(plan_of(10), [])
    assert labels(0, 5) is None and labels.counts(0, 5) == {} and list(labels.parts(0, 5)) == []


def test_a_plan_comes_back_from_json() -> None:
    plan = plan_of(77, 2, labels=(1, 0))
    again = plan_from_dict(json.loads(json.dumps(plan.to_dict())))
    assert again == plan and again.sha256 == plan.sha256
    assert replace(plan, seed=1).sha256 != plan.sha256
    for change in ({"count": 0}, {"shards": 0}, {"recipe": 3}, {"labels": None}, {"more": 1}, {"count": "7"}):
        with pytest.raises(SynthgenError, match="cannot be read"):
            plan_from_dict({**plan.to_dict(), **change})


def test_noise_levels_of_a_manifest_are_read_with_limits() -> None:
    """Manifests from before there were any stay valid."""
    plan = plan_of(77)
    chosen = replace(plan, recipe=replace(plan.recipe, steps=2, noise_levels=(80.0, 0.8)))
    values = json.loads(json.dumps(chosen.to_dict()))
    assert plan_from_dict(values) == chosen
    old = {name: value for name, value in plan.to_dict()["recipe"].items() if name != "noise_levels"}
    assert plan_from_dict({**plan.to_dict(), "recipe": old}) == plan
    for levels in ([0.8, 80], [80.0], [80, 0], [80, "x"], [80, float("nan")], "80", {"a": 1}, [1e9, 1]):
        with pytest.raises(SynthgenError, match="cannot be read"):
            plan_from_dict({**values, "recipe": {**values["recipe"], "noise_levels": levels}})


def test_what_differs_is_named() -> None:
    plan = plan_of(77, 2)
    other = replace(plan, seed=9, versions={"torch": "3"}, recipe=replace(plan.recipe, steps=50))
    text = differences(plan.to_dict(), other.to_dict())
    assert text == "recipe.steps: 12 then, 50 now; seed: 0 then, 9 now; versions.torch: 2 then, 3 now"


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    return load(tiny_run, device="cpu")


def peak_of_planning(model: Model, count: int, shards: int) -> int:
    """Bytes that a plan, the counts of its classes and the bounds of all its shards take at their most."""
    tracemalloc.start()
    plan = plan_samples(model, count, shards=shards)
    labels = Labels(plan, model.class_names)
    assert labels.counts(0, plan.count) == {"top": count // 2, "bottom": count // 2}
    assert sum(stop - start for start, stop in map(plan.bounds, range(shards))) == count
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_a_million_samples_cost_what_a_thousand_cost_to_plan(model: Model) -> None:
    peak_of_planning(model, 100, 1)  # what is imported and cached on first use
    few, many = peak_of_planning(model, 1_000, 10), peak_of_planning(model, 1_000_000, 1000)
    assert many < few + 100_000, f"{many:,} bytes; an int64 label per sample would be 8,000,000"


def test_requests_that_cannot_be(model: Model) -> None:
    with pytest.raises(UsageError, match=r"between 1 and 2 shards are possible, not 3"):
        plan_samples(model, 32, shards=3)
    with pytest.raises(UsageError, match="unknown format 'jpeg'"):
        plan_samples(model, 32, format="jpeg")


def test_the_plan_holds_what_the_bytes_depend_on(model: Model) -> None:
    plan = plan_samples(model, 32, format="parquet", shards=1)
    assert {"synthgen", "torch", "diffusers", "numpy", "pillow", "pyarrow"} == set(plan.versions)
    assert plan.numerics["threads_per_block"] == 1 and plan.numerics["processor"]
    assert plan.checkpoint_sha256 == model.sha256
    assert np.all([isinstance(value, (str, int, bool)) for value in plan.numerics.values()])
