"""Tasks side by side, results in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import torch

from synthgen.generation.parallel import in_order, one_behind, one_thread

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


def test_where_memory_runs_out_fewer_tasks_run_at_once() -> None:
    lock, running = threading.Lock(), 0
    side_by_side = threading.Barrier(2)

    def task(index: int) -> int:
        nonlocal running
        with lock:
            running += 1
        try:
            if index in (4, 5) and torch.get_num_threads() == 1 and not side_by_side.broken:
                try:
                    side_by_side.wait(30)  # two at once are one too many
                except threading.BrokenBarrierError:
                    return index
                side_by_side.abort()
                raise MemoryError
            return index
        finally:
            with lock:
                running -= 1

    assert list(in_order(task, 12, CPU)) == list(range(12))
    assert side_by_side.broken and running == 0 and torch.get_num_threads() == 3


def test_one_task_that_does_not_fit_is_an_error() -> None:
    def task(index: int) -> int:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        list(in_order(task, 4, CPU))


def test_the_next_work_is_handed_over_before_the_last_is_waited_for() -> None:
    events: list[str] = []

    def begin(index: int) -> Callable[[], int]:
        events.append(f"begin {index}")

        def wait() -> int:
            events.append(f"wait {index}")
            return index

        return wait

    assert list(one_behind(begin, 3)) == [0, 1, 2]
    assert events == ["begin 0", "begin 1", "wait 0", "begin 2", "wait 1", "wait 2"]
    assert list(one_behind(begin, 0)) == []


def test_one_thread_is_for_the_block_only() -> None:
    with one_thread(CPU):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
