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

    At most two results per thread are held back, so memory does not grow with `count`. Closing the iterator early
    waits for the tasks that run and drops the others.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    if min(threads, count) <= 1:
        yield from map(task, range(count))
        return
    pending: deque[Future[T]] = deque()
    pool = ThreadPoolExecutor(min(threads, count), "sampler", initializer=torch.set_num_threads, initargs=(1,))
    try:
        for index in range(count):
            if len(pending) >= 2 * threads:
                yield pending.popleft().result()
            pending.append(pool.submit(task, index))
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # the workers changed what new threads of this process start with
