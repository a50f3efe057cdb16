"""Blocks of samples, in order, on as many CPU threads as torch may use.

One block is one thread's work. Two reasons: sums inside an operation depend on the number of threads, so that only
then a sample is the same on any number of cores; and threads that share nothing need no barriers, which cost most
of the speed on a machine that does other work too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from synthgen.training.guards import is_out_of_memory

T = TypeVar("T")


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """One thread per operation on the CPU, for the calling thread; other devices are left alone."""
    if device.type != "cpu":
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_order(task: Callable[[int], T], count: int, device: torch.device) -> Iterator[T]:
    """task(0), task(1), ... task(count - 1), computed side by side on the CPU, yielded in order.

    At most two results per thread are held back, so memory does not grow with `count`; where it runs out all the same,
    half as many tasks run at once from there on. Closing the iterator early waits for the tasks that run and drops
    the others.
    """
    threads, done = torch.get_num_threads() if device.type == "cpu" else 1, 0
    while True:
        try:
            for result in _side_by_side(task, range(done, count), threads):
                yield result
                done += 1
            return
        except (RuntimeError, MemoryError) as error:
            if threads == 1 or not is_out_of_memory(error):
                raise
        threads //= 2  # outside the handler: inside, its traceback would keep alive what has to be freed


def _side_by_side(task: Callable[[int], T], indices: range, threads: int) -> Iterator[T]:
    if min(threads, len(indices)) <= 1:
        yield from map(task, indices)
        return
    before = torch.get_num_threads()
    pending: deque[Future[T]] = deque()
    pool = ThreadPoolExecutor(min(threads, len(indices)), "sampler", initializer=torch.set_num_threads, initargs=(1,))
    try:
        for index in indices:
            if len(pending) >= 2 * threads:
                yield pending.popleft().result()
            pending.append(pool.submit(task, index))
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # the workers changed what new threads of this process start with


def one_behind(begin: Callable[[int], Callable[[], T]], count: int) -> Iterator[T]:
    """The results of work 0, 1, ... count - 1 on a device that is never left without work.

    begin(k): hands work k to the device and returns what waits for its result. Work k is waited for once work k + 1 was
    handed over: the device computes it while the caller has result k in hand.
    """
    waiting: Callable[[], T] | None = None
    for index in range(count):
        begun = begin(index)
        if waiting is not None:
            yield waiting()
        waiting = begun
    if waiting is not None:
        yield waiting()
