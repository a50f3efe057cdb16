"""From attacks that succeeded and failed to a risk with an interval; Giomi et al. 2023, section 3 (anonymeter)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

Z = 1.959963984540054
"""Of a two-sided 95 % interval."""


@dataclass(frozen=True)
class Rate:
    """The success rate of an attack as its Wilson interval's centre and half length."""

    value: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        return max(0.0, self.value - self.error), min(1.0, self.value + self.error)


def wilson(successes: float, attempts: int, z: float = Z) -> Rate:
    """Wilson 1927: the centre lies a little nearer to 1/2 than the share of successes does."""
    total = attempts + z * z
    spread = successes * (attempts - successes) / attempts
    return Rate((successes + z * z / 2) / total, z / total * math.sqrt(spread + z * z / 4))


@dataclass(frozen=True)
class Attack:
    """What an attacker with the synthetic rows achieved.

    successes: of `attempts` on rows that the generator was trained on. naive: successes of as many guesses without the
    synthetic rows' help. control: successes of `control_attempts` on rows that the generator never saw; what they reach
    is knowledge of the population and no fault of the generator's.
    """

    name: str
    attempts: int
    successes: int
    naive: int
    control_attempts: int
    control: int

    @property
    def rate(self) -> Rate:
        return wilson(self.successes, self.attempts)

    @property
    def naive_rate(self) -> Rate:
        return wilson(self.naive, self.attempts)

    @property
    def control_rate(self) -> Rate:
        return wilson(self.control, self.control_attempts)

    def risk(self, z: float = Z) -> Rate:
        """(rate - control rate) / (1 - control rate): the share of attacks that only training rows' presence explains.

        The error is that of both rates, propagated (Giomi et al. 2023, eq. 5). Not cut at 0: below it, control rows
        were attacked more successfully than training rows. z: for another level than 95 %.
        """
        attack, control = wilson(self.successes, self.attempts, z), wilson(self.control, self.control_attempts, z)
        rest = 1.0 - control.value
        error = math.hypot(attack.error / rest, (1.0 - attack.value) * control.error / rest**2)
        return Rate((attack.value - control.value) / rest, error)

    @property
    def weak(self) -> bool:
        """Whether guessing was as good: then the attack says nothing, neither that there is a risk nor that not."""
        return self.successes <= self.naive

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        risk = self.risk()
        return {
            "attack": self.name,
            "attempts": self.attempts,
            "rate": self.successes / self.attempts,
            "naive_rate": self.naive / self.attempts,
            "control_attempts": self.control_attempts,
            "control_rate": self.control / self.control_attempts,
            "risk": max(0.0, risk.value),
            "interval": list(clipped(risk)),
            "no_better_than_guessing": self.weak,
        }


def clipped(risk: Rate) -> tuple[float, float]:
    """The interval of a risk, inside [0, 1]."""
    return tuple(min(1.0, max(0.0, bound)) for bound in (risk.value - risk.error, risk.value + risk.error))  # type: ignore[return-value]


def pooled(name: str, attacks: list[Attack]) -> Attack:
    """Several attacks of one kind as one."""
    return Attack(
        name,
        sum(one.attempts for one in attacks),
        sum(one.successes for one in attacks),
        sum(one.naive for one in attacks),
        sum(one.control_attempts for one in attacks),
        sum(one.control for one in attacks),
    )
