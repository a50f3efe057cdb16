"""What keeps a run alive or ends it with a reason: values that are not finite, memory that runs out."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from synthgen.errors import SynthgenError

_MEMORY_TEXTS = ("not enough memory", "can't allocate memory", "out of memory")


class NotFiniteError(SynthgenError):
    """Too many steps in a row had a loss or gradient that is not finite; raised by every process of a run."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that an allocation failed: CUDA has a class for it, the CPU only a text."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _MEMORY_TEXTS)


@dataclass(frozen=True)
class Tally:
    """Steps since the last reading. good, bad: how many; loss, norm: sums over the good ones.

    total: bad steps of the session; streak: those in a row up to now; first: number of the batch that began the latest
    streak, with its loss and gradient norm.
    """

    good: int
    bad: int
    loss: float
    norm: float
    total: int
    streak: int
    first: int
    first_loss: float
    first_norm: float

    @property
    def what(self) -> str:
        """The value that was not finite first."""
        return f"loss became {self.first_loss}" if _odd(self.first_loss) else f"gradient became {self.first_norm}"


class FiniteGuard:
    """Judges each step by its loss and gradient norm, on the device: nobody waits for it before `read`.

    After `limit` bad steps in a row every further one is judged bad as well, so that the weights stay as the last good
    step left them until somebody reads and gives up.
    """

    def __init__(self, device: torch.device, limit: int) -> None:
        self.limit = limit
        self._sums = torch.zeros(2, device=device)
        self._first_pair = torch.zeros(2, device=device)
        self._counts = torch.zeros(4, dtype=torch.int64, device=device)  # good, total bad, streak, first
        self._total_read = 0

    def judge(self, step: int, loss: torch.Tensor, norm: torch.Tensor) -> torch.Tensor:
        """True (bool, scalar, on the device) when batch number `step` may change the weights."""
        pair = torch.stack([loss, norm])
        good, total, streak, first = self._counts.unbind()
        fine = torch.isfinite(pair).all() & (streak < self.limit)
        began = ~fine & (streak == 0)
        self._first_pair = torch.where(began, pair, self._first_pair)
        self._sums += torch.where(fine, pair, torch.zeros_like(pair))
        first = torch.where(began, step, first)
        streak = torch.where(fine, 0, streak + 1)
        self._counts = torch.stack([good + fine, total + ~fine, streak, first])
        return fine

    def read(self) -> Tally:
        """What happened since the last call; waits for the device."""
        numbers = torch.cat([self._sums, self._first_pair]).tolist()
        good, total, streak, first = self._counts.tolist()
        self._sums.zero_()
        self._counts[0] = 0
        bad, self._total_read = total - self._total_read, total
        return Tally(good, bad, numbers[0], numbers[1], total, streak, first, numbers[2], numbers[3])


def _odd(value: float) -> bool:
    return not -float("inf") < value < float("inf")
