"""Compiling: when it is chosen, that it is part of the plan, and that it computes the same up to rounding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synthgen.commands.sample_choices import Compile
from synthgen.errors import SynthgenError, UsageError
from synthgen.generation import compiling
from synthgen.generation.compiling import MODES, Estimate, choose, estimate, why_not
from synthgen.generation.model import Model, load
from synthgen.generation.plan import differences, plan_from_dict, plan_samples
from tests.conftest import Cli

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    return load(tiny_run, device="cpu")


def test_the_choices_of_the_command_line() -> None:
    assert tuple(one.value for one in Compile) == MODES


def test_a_few_samples_never_repay_and_a_billion_do(model: Model) -> None:
    few, many = estimate(model.engine(), 10), estimate(model.engine(), 10**9)
    assert few.cost == many.cost > 0 and not few.pays and many.pays
    assert 0 < few.won < few.seconds


def test_auto_compiles_where_that_pays(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "why_not", lambda device: None)
    engine = model.engine()
    assert not choose("auto", engine, 10).compiled
    chosen = choose("auto", engine, 10**9)
    assert chosen.compiled and chosen.notable and "save about" in chosen.reason
    assert not choose("never", engine, 10**9).compiled and choose("always", engine, 1).compiled
    # What others decide by themselves must come out the same: nothing is timed.
    monkeypatch.setattr(compiling, "estimate", None)
    assert not choose("auto", engine, 10**9, shared=True).compiled
    assert choose("auto", engine, 1, begun=True, shared=True).compiled
    assert not choose("auto", engine, 10**9, begun=False).compiled


def test_without_a_compiler(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no C++ compiler (no-such-compiler)" in str(why_not(CPU))
    assert "mps" in str(why_not(torch.device("mps")))
    chosen = choose("auto", model.engine(), 10**9)
    assert not chosen.compiled and chosen.notable and "no-such-compiler" in chosen.reason
    assert not choose("auto", model.engine(), 10).notable  # it would not have been used anyway
    with pytest.raises(UsageError, match="no-such-compiler"):
        choose("always", model.engine(), 10)
    with pytest.raises(UsageError, match="no-such-compiler"):
        model.engine(replace(model.recipe(), compiled=True))


def test_compiled_is_part_of_the_plan(model: Model) -> None:
    plain = plan_samples(model, 10)
    compiled = plan_samples(model, 10, recipe=replace(plain.recipe, compiled=True))
    assert differences(plain.to_dict(), compiled.to_dict()) == "recipe.compiled: False then, True now"
    assert plan_from_dict(compiled.to_dict()) == compiled
    old = plain.to_dict()
    del old["recipe"]["compiled"]  # a manifest from before there was a choice
    assert plan_from_dict(old) == plain
    with pytest.raises(SynthgenError, match="compiled"):
        plan_from_dict({**old, "recipe": {**old["recipe"], "compiled": "yes"}})


def test_estimates_are_in_words() -> None:
    assert Estimate(1000.0, 90.0, 25.0).text == (
        "sampling takes about 1,000 s; compiling the network would take about 25 s and save about 90 s"
    )


def test_the_command_says_what_it_chose(tiny_run: Path, tmp_path: Path, cli: Cli) -> None:
    result = cli("sample", tiny_run, "--count", 4, "--out", tmp_path / "a", "--compile", "auto")
    assert result.returncode == 0 and "network not compiled: sampling takes about" in result.stderr
    result = cli("sample", tiny_run, "--count", 4, "--out", tmp_path / "a", "--resume", "--dry-run")
    assert result.returncode == 0 and "network not compiled, as the set was begun" in result.stderr


def test_what_is_compiled_is_kept_in_our_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    monkeypatch.setenv("SYNTHGEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    cache_dir()  # whoever asks first leaves torch's default in the environment
    compiling._keep_compiled()
    assert cache_dir() == str(tmp_path / "compiled")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "mine"))
    compiling._keep_compiled()
    assert cache_dir() == str(tmp_path / "mine")


@pytest.mark.slow
@pytest.mark.skipif(why_not(CPU) is not None, reason=str(why_not(CPU)))
def test_compiled_samples_are_the_same_up_to_rounding(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHGEN_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    keys, labels = np.arange(20), np.arange(20) % 2
    recipe = model.recipe()
    plain = model.engine(recipe).pixels(keys, labels, 0).astype(int)
    engine = model.engine(replace(recipe, compiled=True))
    compiled = engine.pixels(keys, labels, 0)
    assert np.abs(compiled - plain).max() <= 1
    np.testing.assert_array_equal(engine.pixels(keys[17:19], labels[17:19], 0), compiled[17:19])
    assert any((tmp_path / "compiled").iterdir())  # there for the next process
