"""The benchmarks of images: their tables and ratios, and one run of each at toy size."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A script of this folder by its name, imported as it is when it runs: beside its neighbours."""
    monkeypatch.syspath_prepend(str(HERE))
    return importlib.import_module


def test_numbers_keep_three_digits_and_never_an_exponent(module: Any) -> None:
    page = module("images_page")
    written = [page.number(value) for value in (0.0, 0.01234, 0.000012345, 0.999, 1.234, 12.34, 123.4, 1234.4, 56789.0)]
    assert written == ["0", "0.0123", "0.0000123", "0.999", "1.23", "12.3", "123", "1,234", "56,789"]


def test_a_spread_is_the_median_between_its_ends(module: Any) -> None:
    page = module("images_page")
    assert page.spread([4.0, 1.0, 9.0]) == "4 (1 to 9)"
    assert page.spread([2.5]) == "2.5"


def test_a_part_is_replaced_and_what_people_wrote_stays(module: Any, tmp_path: Path) -> None:
    page, path = module("images_page"), tmp_path / "images.md"
    path.write_text("# Title\n\nBefore.\n")
    page.put_part(path, "speed", ["| old |"])
    path.write_text(path.read_text() + "\nAfter.\n")
    page.put_part(path, "peers", ["| other |"])
    page.put_part(path, "speed", ["| new |"])
    text = path.read_text()
    assert "old" not in text
    assert [text.index(word) for word in ("Before.", "| new |", "After.", "| other |")] == sorted(
        text.index(word) for word in ("Before.", "| new |", "After.", "| other |")
    )
    page.put_part(path, "speed", ["| new |"])
    assert path.read_text() == text


def test_ratios_are_those_of_one_round(module: Any) -> None:
    """The median of the ratios is not the ratio of the medians: noise of the machine meets both sides of a round."""
    speed = module("images_speed_page")
    rates = {"ours": [10.0, 100.0, 40.0], "theirs-fp32": [2.0, 50.0, 10.0]}
    assert speed.ratios(rates, "ours", "theirs-fp32") == [5.0, 2.0, 4.0]


def test_a_compiled_network_has_its_own_ratio(module: Any) -> None:
    speed = module("images_speed_page")
    rates = {"ours": [10.0, 20.0], "ours-compiled": [12.0, 30.0], "theirs-fp32": [2.0, 10.0]}
    found = {"images_per_second": rates, "images_per_cpu_second": rates}
    assert speed.compiled(found, "theirs-fp32") == ("21 (12 to 30)", "4.5 (3 to 6)", "4.5 (3 to 6)")
    del rates["ours-compiled"]
    assert speed.compiled(found, "theirs-fp32") == ("", "", "")


class _Sides:
    """Sides whose times are known. seconds: of an image and a step, by batch size."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds, self.asked = seconds, []

    def time(self, side: str, job: Any) -> dict[str, float]:
        self.asked.append(side)
        spent = self.seconds[job.batch] * job.count * job.steps * (0.5 if side.startswith("ours") else 1.0)
        return {"seconds": spent, "cpu_seconds": 2 * spent, "peak_mb": 100.0}


def test_the_pipeline_gets_its_fastest_batch_size(module: Any) -> None:
    speed = module("images_speed")
    job = speed.Job("folder", "dpm++2m", 10, 256)
    best, rates = speed.best_batch(_Sides({16: 0.02, 64: 0.005, 256: 0.01}), job, (16, 64, 256))
    assert best == 64
    assert rates == {"16": 5.0, "64": 20.0, "256": 10.0}


def test_every_round_asks_everybody_and_steps_left_out_are_counted(module: Any) -> None:
    speed, sides = module("images_speed"), _Sides({8: 0.01})
    jobs = {name: speed.Job("f", "ddpm", 20, 16, batch=8) for name in ("ours", "theirs-fp32")}
    found = speed.raced(sides, jobs, 3, scale=1000 / 20)
    assert sides.asked[2:] == ["ours", "theirs-fp32", "theirs-fp32", "ours", "ours", "theirs-fp32"]
    assert found["images_per_second"]["theirs-fp32"] == pytest.approx([1 / (0.01 * 1000)] * 3)
    assert found["images_per_cpu_second"]["ours"] == pytest.approx([1 / 0.01 / 1000] * 3)


def test_the_share_of_the_peak_is_that_of_the_arithmetic(module: Any) -> None:
    speed = module("images_speed_page")
    rates = {"ours": [500.0], "ours-fp32": [100.0], "written": [480.0], "theirs-fp32": [100.0], "theirs-bf16": [125.0]}
    sampler = {"steps": 10, "images_per_second": rates, "peak_mb": {"ours": 400.0, "theirs-fp32": 900.0}}
    sampler["images_per_cpu_second"] = rates
    slow = {name: [rate[0] / 100] for name, rate in rates.items()}
    long = {**sampler, "steps": 1000, "images_per_second": slow, "images_per_cpu_second": slow}
    one = {
        "parameters": 1000,
        "mflop_per_call": 100.0,
        "overhead_percent": [1.0, 2.0, 4.0],
        "matmul_tflops": [{"fp32": 1.0, "bf16": 4.0}, {"fp32": 0.8, "bf16": 5.0}],
        "samplers": {"dpm++2m": sampler, "ddpm": long},
    }
    lines = speed.rest_of_page({"forms": ["fp32"], "device": "cpu", "networks": {"patches": one}})
    cells = [cell.strip() for cell in lines[-1].strip("|").split("|")]
    # 500 images of 10 calls of 100 MFLOP are 0.5 TFLOP/s: 10 % of 5, 50 % of 1; and 500 a second are 500 times 1
    assert cells[2:] == ["100", "2 (1 to 4)", "10 of 5", "50 of 1", "400", "900", "500"]


def _judged(value: float) -> dict[str, Any]:
    part = {"value": value, "floor": 0.25, "interval": (value - 0.1, value + 0.1)}
    worth = {"mean": 0.985, "deviation": 0.001}
    return {
        "n": 10,
        "fid": {"half": part, "train": part, "test": {**part, "interval": None}},
        "agreement": {"value": 0.99},
        "worth": {"synthetic": worth, "real": {"mean": 0.99, "deviation": None}},
    }


def test_labels_that_the_judge_gave_have_no_agreement(module: Any) -> None:
    quality = module("images_quality")
    own = quality.cells(_judged(1.5))
    assert own == ["1.5 ± 0.1", "0.25", "1.5 ± 0.1", "0.25", "1.5", "0.25", "99.00", "98.50 ± 0.10", "99.00"]
    assert len(own) == len(quality.HEADS)
    assert quality.cells(_judged(1.5), read=False)[6] == "–"


def test_every_row_has_a_cell_for_every_head(module: Any) -> None:
    quality, peers, speed = (module(f"images_{name}") for name in ("quality", "peers", "speed"))
    facts = {"date": "d", "machine": "m", "threads": 1, "seed": 0, "command": "c", "versions": {"torch": "2"}}
    took = {"count": 10, "images_per_second": 2.0, "process_seconds": 5.0}
    classes = [{"name": str(k), "fid": 1.0, "floor": None, "agreement": 0.5} for k in range(10)]
    one = {"title": "mnist", "flags": "", "sampler": "s", "sample": took, "classes": classes, **_judged(1.0)}
    one |= {"parameters": 10, "own_labels": True, "train": {"steps": 3, "cpu_seconds": 1.0, "images_per_second": 1.0}}
    rates = {name: [1.0, 2.0] for name in ("ours", "ours-fp32", "theirs-fp32", "theirs-bf16")}
    sampler = {
        "steps": 10,
        "images_per_second": rates,
        "images_per_cpu_second": rates,
        "peak_mb": dict.fromkeys(rates, 1),
    }
    network = {"parameters": 1, "mflop_per_call": 1.0, "overhead_percent": [1.0], "samplers": {"dpm++2m": sampler}}
    network["matmul_tflops"] = [{"fp32": 1.0, "bf16": 1.0}]
    pages = [
        quality.part_of_page({**facts, "results": [one]}),
        peers.part_of_page({**facts, "results": [one], "in_turn": False, "budget": "1m", "images": 5, "data": "mnist"}),
        speed.part_of_page({**facts, "device": "cpu", "forms": ["fp32", "bf16"], "networks": {"patches": network}}),
    ]
    for lines in pages:
        assert len([line for line in lines if line.startswith("|---")]) >= 2
        for before, line in itertools.pairwise(lines):
            if line.startswith("|") and before.startswith("|"):
                assert line.count("|") == before.count("|")


@pytest.mark.slow
def test_real_images_score_their_floor_and_unlabelled_ones_get_labels(module: Any, tmp_path: Path) -> None:
    """The whole judgement on real images in place of samples: FID near its floor, labels of the judge nearly right."""
    from synthgen.data import load_images

    quality = module("images_quality")
    test = load_images("mnist-mini", split="test")
    read = quality.labelled(test.images, "mnist-mini", "nobody")
    assert test.labels is not None
    assert np.mean(read.labels == test.labels) > 0.95
    found = quality.judged(test, "mnist-mini", 0, tmp_path, seeds=1, steps=3)
    assert found["fid"]["train"]["value"] == pytest.approx(found["fid"]["train"]["floor"], rel=0.05)
    assert {part["name"] for part in found["classes"]} == set(test.class_names)
    assert set(found["worth"]) == {"real", "synthetic"}


@pytest.mark.slow
def test_the_speed_of_a_toy(module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speed: ModuleType = module("images_speed")
    words = "--threads 1 --networks patches --count 4 --more 1 --rounds 1 --batches 4 --ddpm-steps 2 --train-steps 1"
    monkeypatch.setattr(sys, "argv", ["images_speed.py", *words.split(), "--out", str(tmp_path)])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    speed.main()
    facts = json.loads((tmp_path / "images_speed.json").read_text())
    one = facts["networks"]["patches"]
    assert one["max_difference"] <= 1
    assert all(rate[0] > 0 for found in one["samplers"].values() for rate in found["images_per_second"].values())
    assert "| 14 x 14 patches" in (tmp_path / "images.md").read_text()


def test_a_conclusion_names_what_is_surely_better(module: Any) -> None:
    """By two standard errors of the paired difference, and never a plain map."""
    explain = module("explain_images")

    def row(name: str, random: float, brightness: float, edges: float) -> dict[str, Any]:
        differences = {"random": random, "brightness": brightness, "edges": edges}
        beyond = {f"beyond {other}": [value, 0.01] for other, value in differences.items()}
        losses = [[0.5, 0.01], [0.6, 0.01]]
        return {"map": name, "seconds": 1.0, "judge": losses, "second judge": losses, **beyond}

    rows = [row("evidence", 0.3, 0.021, 0.1), row("judge", 0.3, 0.019, 0.1), row("information", 0.01, 0.1, 0.1)]
    text = explain.conclusion([*rows, row("brightness", 0.5, 0.5, 0.5)])
    assert "brightness and edges (two standard errors): evidence;" in text
    assert "not than both plain maps: Grad-CAM of the judge;" in text and text.endswith("random: information.")
    facts: dict[str, Any] = {"title": "t", "machine": "m", "threads": 1, "date": "d", "versions": {}, "command": "c"}
    facts |= {"seed": 0, "count": 9, "draws": 2, "random": 3, "judges": [0.99, 0.98], "rows": rows}
    assert sum(line.startswith("| ") for line in explain.written(facts)) == 4


def test_losses_are_held_to_every_judge(module: Any) -> None:
    """A map's loss, its error and its difference from another, by hand."""
    explain = module("explain_images")
    losses = explain.Losses({name: np.zeros((2, 3, 2)) for name in ("evidence", "random", "brightness", "edges")})
    losses.of["evidence"][1] = [[0.1, 0.3], [0.2, 0.4], [0.3, 0.5]]
    found = explain.rows_of(losses)[0]
    error = 0.1 / np.sqrt(3)
    assert found["second judge"] == [[0.2, pytest.approx(error, abs=1e-5)], [0.4, pytest.approx(error, abs=1e-5)]]
    assert found["judge"][0] == [0.0, 0.0] and found["beyond random"] == [0.3, pytest.approx(error, abs=1e-5)]
