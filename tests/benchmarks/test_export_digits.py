"""Exports of the few-step model in the package: the judge reads their digits as it reads the model's own."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package, reason='needs pip install "synthgen[onnx]"')


@pytest.mark.slow
def test_the_onnx_sampler_of_few_steps_draws_digits(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    script: Any = importlib.import_module("export_digits")
    found = script.measured("bundled:mnist-fast", count=60, formats=("onnx",))
    rows = found["rows"]
    assert found["steps"] <= 4
    assert rows["onnx"]["read_as_asked"] > 0.8, "digits, of the classes that were asked for"
    apart = rows["onnx"]["against_fp32"]
    assert apart["largest_grey_levels"] <= 1
    assert apart["read_differently"] <= 1, "a rounding may tip one that stands on the edge"
