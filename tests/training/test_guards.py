"""Steps that are not finite change nothing and end a hopeless run; memory that runs out halves the micro-batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthgen.checkpoints import load_checkpoint, read_header
from synthgen.config.loading import load_config
from synthgen.config.schema import Config
from synthgen.data import load_images
from synthgen.data.dataset import ImageCodec, ImageData
from synthgen.diffusion.denoiser import Denoiser
from synthgen.errors import SynthgenError
from synthgen.generation.building import build_denoiser
from synthgen.reporting import NullReporter
from synthgen.runs import list_checkpoints
from synthgen.training import images as images_module
from synthgen.training.batches import Batches
from synthgen.training.draws import draw
from synthgen.training.guards import FiniteGuard, is_out_of_memory
from synthgen.training.metrics import read_metrics
from synthgen.training.run import train
from synthgen.training.step import Trainer
from synthgen.training.subjects import build_subject
from synthgen.training.world import World
from tests.conftest import TINY

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
NAN, INF = float("nan"), float("inf")


def config(source: Path, *overrides: str, steps: int = 6) -> Config:
    return load_config(None, [*TINY, *overrides], {"data.source": str(source), "training.steps": steps})


class Said(NullReporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.news: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def info(self, message: str) -> None:
        self.news.append(message)


class Bench:
    """A trainer and its batches, without the run around them."""

    def __init__(self, source: Path, *overrides: str, world: World | None = None, device: torch.device = CPU) -> None:
        self.config = config(source, *overrides)
        data = load_images(str(source))
        torch.manual_seed(0)
        subject = build_subject(self.config, data, device)
        self.trainer = Trainer(self.config, subject, device, world)
        self.batches = subject.batches()

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            self.trainer.train_step(self.batches, 0.3)

    def state(self) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in self.trainer.state().items()}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_the_guard_counts_names_the_first_and_freezes() -> None:
    guard = FiniteGuard(CPU, 3)
    pairs = [(1.0, 2.0), (3.0, INF), (2.0, 2.0), (NAN, 1.0), (1.0, NAN), (INF, INF), (1.0, 1.0)]
    fine = [bool(guard.judge(10 + i, torch.tensor(a), torch.tensor(b))) for i, (a, b) in enumerate(pairs)]
    assert fine == [True, False, True, False, False, False, False], "after three in a row nothing is fine any more"
    tally = guard.read()
    assert (tally.good, tally.bad, tally.loss, tally.norm) == (2, 5, 3.0, 4.0)
    assert (tally.total, tally.streak, tally.first, tally.what) == (5, 4, 13, "loss became nan")
    again = guard.read()
    assert (again.good, again.bad, again.loss, again.total, again.streak) == (0, 0, 0.0, 5, 4)


@pytest.mark.parametrize("waits", [True, False], ids=["looks at each step", "flag on the device"])
def test_a_step_that_is_not_finite_changes_nothing(corners_npz: Path, waits: bool) -> None:
    bench = Bench(corners_npz)
    bench.trainer.waits = waits
    bench.step(3)
    before = bench.state()
    weight = next(iter(bench.trainer.denoiser.parameters()))
    hook = weight.register_hook(lambda gradient: gradient * NAN)
    bench.step()
    hook.remove()
    assert same(bench.state(), before) and bench.trainer.step == 4
    bench.step()
    after = bench.state()
    assert not torch.equal(after["raw.unet.conv_in.weight"], before["raw.unet.conv_in.weight"])
    assert all(bool(torch.isfinite(tensor).all()) for tensor in after.values())
    drained = bench.trainer.drain(1.0)
    assert drained is not None
    row, tally = drained
    assert (row["bad_steps"], tally.bad, tally.first) == (1, 1, 3) and np.isfinite(row["loss"])
    assert tally.what == "gradient became nan"


def test_the_flag_on_the_device_gives_the_same_weights(corners_npz: Path) -> None:
    """What CUDA does, on the CPU: the fused optimizer with its flag; the average is computed in another order."""
    looking, flagged = Bench(corners_npz), Bench(corners_npz)
    flagged.trainer.waits = False
    looking.step(5)
    flagged.step(5)
    left, right = looking.state(), flagged.state()
    for name in left:
        if name.startswith(("ema.", "short.")):
            torch.testing.assert_close(left[name], right[name], rtol=1e-5, atol=1e-6)
        else:
            assert torch.equal(left[name], right[name]), name


@pytest.mark.cuda
@pytest.mark.parametrize("schedule", ["edm", "linear"])
def test_no_step_waits_for_a_gpu(corners_npz: Path, schedule: str) -> None:
    prediction = "edm" if schedule == "edm" else "epsilon"
    settings = (f"diffusion.schedule={schedule}", f"diffusion.prediction={prediction}")
    bench = Bench(corners_npz, *settings, device=torch.device("cuda"))
    bench.step(3)  # memory, kernels and the optimizer's moments are there from now on
    torch.cuda.synchronize()
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        bench.step(3)
    finally:
        torch.cuda.set_sync_debug_mode(before)
    assert bench.trainer.drain(1.0) is not None


def spoiled(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Denoiser], None]) -> None:
    """Every denoiser of a run passes through `spoil`."""

    def build(*arguments: Any) -> Denoiser:
        denoiser = build_denoiser(*arguments)
        spoil(denoiser)
        return denoiser

    monkeypatch.setattr(images_module, "build_denoiser", build)


def test_one_bad_step_is_counted_and_the_run_goes_on(
    corners_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def hook(gradient: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return gradient * (NAN if len(calls) == 3 else 1)

    spoiled(monkeypatch, lambda denoiser: next(iter(denoiser.parameters())).register_hook(hook))
    settings, said = config(corners_npz), Said()
    result = train(settings, tmp_path / "run", device="cpu", reporter=said)
    assert result.steps == 6 and result.bad_steps == 1
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")
    indices = Batches(load_images(str(corners_npz)), 32, 0, CPU).indices(2)
    named = next(row for row in rows if "bad_step" in row)
    assert named["bad_step"] == 3 and named["bad_images"] == indices.tolist() and rows[-1]["bad_steps"] == 1
    assert len(said.warnings) == 1 and "step 3," in said.warnings[0]
    assert f"images {indices[0]}, {indices[1]}," in said.warnings[0] and "gradient became nan" in said.warnings[0]
    assert read_header(list_checkpoints(tmp_path / "run")[0])["training"]["bad_steps"] == 1
    longer = train(config(corners_npz, steps=8), tmp_path / "run", device="cpu", resume=True)
    assert longer.bad_steps == 1, "a resumed run goes on counting"


def test_a_run_that_blows_up_is_given_up_with_its_batch_named(corners_npz: Path, tmp_path: Path) -> None:
    """A learning rate of 1e30 is enough to leave the range of numbers for good."""
    settings = config(corners_npz, "training.learning_rate=1e30", "training.max_bad_steps=4", steps=40)
    with pytest.raises(
        SynthgenError, match=r"(loss|gradient) became (nan|inf) at step \d+.*4 steps in a row"
    ) as caught:
        train(settings, tmp_path / "run", device="cpu")
    (row,) = [row for row in read_metrics(tmp_path / "run" / "metrics.jsonl") if "bad_step" in row]
    batch = Batches(load_images(str(corners_npz)), 32, 0, CPU).indices(row["bad_step"] - 1)
    assert f"step {row['bad_step']}, whose batch holds images {batch[0]}, {batch[1]}," in str(caught.value)
    assert "learning_rate" in str(caught.value.hint)
    assert list_checkpoints(tmp_path / "run") == []


def test_a_run_without_one_good_step_does_not_end_well(
    corners_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled(monkeypatch, lambda denoiser: next(iter(denoiser.parameters())).register_hook(lambda grad: grad * NAN))
    with pytest.raises(SynthgenError, match="3 steps in a row"):
        train(config(corners_npz, steps=3), tmp_path / "run", device="cpu")


def test_what_an_allocator_says_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50, dtype=torch.float64)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory")) and is_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as other:
        torch.ones(2) @ torch.ones(3)
    assert not is_out_of_memory(other.value)


class SmallMemory:
    """A network's forward pass that fails as the CPU's allocator does when given more than `most` images."""

    def __init__(self, most: int) -> None:
        self.most, self.failures = most, 0

    def __call__(self, module: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        if len(arguments[0]) > self.most:
            self.failures += 1
            torch.empty(2**50, dtype=torch.float64)


def test_memory_that_runs_out_halves_the_micro_batch_at_the_same_batch(
    corners_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(corners_npz, "data.augment.shift=1", "sampling.block_size=8")
    train(settings, tmp_path / "whole", device="cpu")
    memory, said = SmallMemory(8), Said()
    spoiled(monkeypatch, lambda denoiser: denoiser.network.register_forward_pre_hook(memory) and None)
    train(settings, tmp_path / "small", device="cpu", reporter=said)
    assert memory.failures == 2, "32, then 16, then 8 fits"
    assert [text for text in said.warnings if "computing 8 images at once" in text]
    assert read_metrics(tmp_path / "small" / "metrics.jsonl")[-1]["micro_batch"] == 8
    small, whole = (list_checkpoints(tmp_path / name)[0] for name in ("small", "whole"))
    assert read_header(small)["training"]["micro_batch"] == 8
    assert read_header(whole)["training"]["micro_batch"] is None
    left, right = load_checkpoint(small)[1], load_checkpoint(whole)[1]
    for name in left:
        torch.testing.assert_close(left[name], right[name], rtol=1e-4, atol=1e-5)
    longer = config(corners_npz, "data.augment.shift=1", "sampling.block_size=8", steps=8)
    train(longer, tmp_path / "small", device="cpu", resume=True, reporter=said)
    assert memory.failures == 2, "a resumed run starts from what fitted"
    assert "computing 8 images at once, which fitted into memory before" in said.news


def test_memory_for_not_even_one_image_is_an_error(
    corners_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled(monkeypatch, lambda denoiser: denoiser.network.register_forward_pre_hook(SmallMemory(0)) and None)
    with pytest.raises(RuntimeError, match="memory"):
        train(config(corners_npz), tmp_path / "run", device="cpu")


@pytest.mark.parametrize("size", [1, 5, 16, 31])
def test_the_gradient_of_a_cut_batch_is_that_of_the_whole(corners_npz: Path, size: int) -> None:
    whole, cut = Bench(corners_npz), Bench(corners_npz, f"training.micro_batch={size}")
    losses = []
    for bench in (whole, cut):
        batch = bench.batches(0)
        loss = bench.trainer._gradient(bench.trainer.subject.draw(batch, 0, 0.0))
        losses.append(float(loss))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    for left, right in zip(whole.trainer.denoiser.parameters(), cut.trainer.denoiser.parameters(), strict=True):
        assert left.grad is not None and right.grad is not None
        torch.testing.assert_close(left.grad, right.grad, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("processes", [2, 3, 5])
def test_processes_cut_one_batch_into_rows_with_the_same_random_numbers(corners_npz: Path, processes: int) -> None:
    settings = config(corners_npz, "data.augment.shift=2", "data.augment.horizontal_flip=true")
    data = load_images(str(corners_npz))
    batches, codec = Batches(data, 32, 0, CPU), ImageCodec(*data.shape)
    whole = draw(batches(5), 5, settings, codec, 2)
    parts = []
    for rank in range(processes):
        world = World(CPU)
        world.rank, world.size = rank, processes
        parts.append(draw(batches(5, world.rows(32)), 5, settings, codec, 2))
    for place, expected in enumerate(whole.parts):
        assert expected is not None
        assert torch.equal(torch.cat([part.parts[place] for part in parts]), expected), place


def test_unreadable_images_are_counted_in_the_run(corners_npz: Path, tmp_path: Path) -> None:
    data: ImageData = replace(load_images(str(corners_npz)), skipped=("a.png: truncated", "b.png: truncated"))
    result = train(config(corners_npz, steps=1), tmp_path / "run", device="cpu", data=data)
    assert result.skipped == 2
    assert read_header(list_checkpoints(tmp_path / "run")[0])["data"]["skipped"] == 2
