"""Programs of torch.export: run by a process of their own, without a pickle, without paths of this machine."""

from __future__ import annotations

import os
import shutil
import zipfile

import pytest

from synthgen.errors import SynthgenError, UsageError
from synthgen.export import torch_export
from synthgen.export.exporting import export_model


@pytest.mark.slow
def test_a_fresh_process_computes_the_same(make_model, tmp_path):
    model = make_model("linear", "v")
    result = export_model(model, tmp_path / "out", format="torch-export", recipe=model.recipe(sampler="ddpm", steps=2))
    assert result.files == ("README.md", "network.pt2", "sampler.pt2")
    assert [check.what for check in result.checks] == ["network", "sampler"]
    assert all(check.error <= 1e-4 for check in result.checks)
    assert result.max_difference <= 1
    for path in (tmp_path / "out").glob("*.pt2"):
        with zipfile.ZipFile(path) as archive:
            contents = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        assert not [name for name, one in contents.items() if one[:2] in (b"PK", b"\x80\x02")], "a pickle"
        assert not [name for name, one in contents.items() if b".py" in one], "a path"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.skipif(os.environ.get("SYNTHGEN_TEST_AOT") != "1", reason="compiles for a minute: SYNTHGEN_TEST_AOT=1")
def test_compiled_programs_are_compared_too(make_model, tmp_path):
    """The network's alone: five evaluations are more than a sampler is compiled with."""
    model = make_model("edm", "edm")
    recipe = model.recipe(sampler="euler", steps=5)
    result = export_model(model, tmp_path / "out", format="torch-export", recipe=recipe, aot=True)
    assert [check.what for check in result.checks] == ["network", "network-aot", "sampler"]
    assert all(check.error <= 1e-4 for check in result.checks)


def test_without_a_compiler(make_model, tmp_path, monkeypatch):
    monkeypatch.setattr(torch_export.shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match="there is no C\\+\\+ compiler"):
        export_model(make_model("edm", "edm"), tmp_path / "out", format="torch-export", aot=True)


def test_a_program_that_does_not_run_is_no_export(make_model, tmp_path, monkeypatch):
    monkeypatch.setattr(torch_export, "_REPLAY", "raise SystemExit('no such operator')")
    model = make_model("edm", "edm")
    with pytest.raises(SynthgenError, match="could not run the exported programs: no such operator"):
        export_model(model, tmp_path / "out", format="torch-export", recipe=model.recipe(steps=1))
    assert list(tmp_path.iterdir()) == []
