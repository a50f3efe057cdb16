"""What `synthgen doctor` finds, and what it advises when something is missing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from synthgen import diagnosis
from synthgen.diagnosis import Finding, diagnose, matmul_gflops, usable_cores


def find(name: str, findings: list[Finding] | None = None) -> Finding:
    (found,) = [finding for finding in findings or diagnose() if finding.name == name]
    return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "matmul_gflops", lambda device, dtype: 10.0)


def test_this_machine_is_well() -> None:
    findings = diagnose()
    assert [finding for finding in findings if finding.broken] == []
    assert find("torch", findings).value == metadata.version("torch")
    assert find("mnist-mini", findings).value == "in the package"
    assert usable_cores() >= 1


def test_every_core_dependency_is_looked_at_and_no_development_tool() -> None:
    names = {finding.name for finding in diagnose() if finding.group == "software"}
    assert {"torch", "diffusers", "captum", "shap", "torch-fidelity", "pydantic"} <= names
    assert "pytest" not in names


def test_a_missing_package_names_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis.metadata, "requires", lambda name: ["no-such-package>=3", "torch>=2.8"])
    missing = find("no-such-package")
    assert missing.broken
    assert missing.advice == "pip install 'no-such-package>=3'"


def test_an_old_package_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis.metadata, "requires", lambda name: ["torch>=99"])
    old = find("torch")
    assert old.broken
    assert "pip install 'torch>=99'" in old.advice


def test_a_data_folder_that_is_not_there_is_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SYNTHGEN_DATA_DIR", str(tmp_path / "gone"))
    folders = find("folders")
    assert folders.broken
    assert "SYNTHGEN_DATA_DIR" in folders.value
    assert folders.advice


def test_found_data_says_where(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    monkeypatch.setenv("SYNTHGEN_DATA_DIR", str(data_dir))
    assert find("mnist").value == str(data_dir / "mnist")


def test_a_full_disk_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 10_000})
    monkeypatch.setattr(diagnosis.shutil, "disk_usage", lambda path: usage)
    assert "free some space" in find("here").advice


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_cannot_be_written_is_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    monkeypatch.setenv("SYNTHGEN_CACHE_DIR", str(tmp_path / "cache"))
    assert find("cache").broken


def test_too_many_threads_are_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis.torch, "get_num_threads", lambda: 10_000)
    assert "OMP_NUM_THREADS" in find("threads").advice


def test_slow_bf16_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "computes_bf16", lambda device: True)
    speeds = {torch.float32: 10.0, torch.bfloat16: 4.0}
    monkeypatch.setattr(diagnosis, "matmul_gflops", lambda device, dtype: speeds[dtype])
    assert "training.precision=fp32" in find("auto precision").advice
    assert find("matmul bf16").value == "4 GFLOP/s, 0.4 times fp32"


def test_the_weights_of_inception_are_looked_for_where_torch_fidelity_puts_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert "--inception-weights" in find("Inception").advice
    (tmp_path / "checkpoints").mkdir()
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    place = tmp_path / "checkpoints" / URL_INCEPTION_V3.rpartition("/")[2]
    place.touch()
    assert find("Inception").value == str(place)


def test_speed_is_counted_in_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product of two n x n matrices is 2 n^3 operations: at one a second, 2 n^3 / 1e9."""
    ticks = iter(range(100))
    monkeypatch.setattr(diagnosis.time, "perf_counter", lambda: float(next(ticks)))
    measured = matmul_gflops(torch.device("cpu"), torch.float32, size=100, seconds=2.5)
    assert measured == pytest.approx(2e6 / 1e9)


def test_the_command(cli: Callable[..., Any]) -> None:
    done = cli("doctor", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["ok"] is True
    assert document["software"]["torch"] == metadata.version("torch")
    assert document["terminal"]["pictures"] == "as the path of the saved file"
    broken = cli("doctor", env={"SYNTHGEN_DATA_DIR": "/nowhere/at/all"})
    assert broken.returncode == 1
    assert "SYNTHGEN_DATA_DIR names /nowhere/at/all" in broken.stdout
    assert broken.stderr.splitlines()[-2] == "error: broken: folders"
