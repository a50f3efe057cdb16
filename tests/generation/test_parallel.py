"""Tasks side by side, results in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from synthgen.generation.parallel import in_order, one_thread

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_whoever_is_first() -> None:
    second_done = threading.Event()

    def task(index: int) -> tuple[int, int]:
        if index == 0:
            assert second_done.wait(30), "the second task runs beside the first"
        if index == 1:
            second_done.set()
        return index, torch.get_num_threads()

    assert list(in_order(task, 20, CPU)) == [(index, 1) for index in range(20)]
    assert torch.get_num_threads() == 3


def test_little_is_computed_ahead_and_nothing_after_an_early_end() -> None:
    begun: list[int] = []

    def task(index: int) -> int:
        begun.append(index)
        return index

    results = in_order(task, 1000, CPU)
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert len(begun) <= 7
    assert torch.get_num_threads() == 3


def test_an_error_reaches_the_caller() -> None:
    def task(index: int) -> int:
        if index == 4:
            raise RuntimeError("block 4")
        return index

    with pytest.raises(RuntimeError, match="block 4"):
        list(in_order(task, 10, CPU))


def test_one_thread_is_for_the_block_only() -> None:
    with one_thread(CPU):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
