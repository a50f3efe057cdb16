"""DPM-Solver++ multistep samplers as rows of coefficients, in float64."""

from __future__ import annotations

from math import expm1, inf, isinf, log, sqrt

from synthgen.diffusion.tables import Float64Array, Row, noise_to_signal

FEW_STEPS = 15
"""Below this many steps a third-order solver ends by orders 2 and 1, as in the authors' code."""


def dpmpp_rows(alphas: Float64Array, sigmas: Float64Array, *, order: int, stochastic: bool) -> list[Row]:
    """DPM-Solver++ of `order` 1, 2 or 3: Lu et al. 2022b (arXiv:2211.01095).

    Exact is `x' = (sigma'/sigma) x + alpha' * integral over u in [0, h] of exp(u - h) x0_hat(lambda + u)`
    (their equation 8 and proposition 4.1). x0_hat is replaced by a polynomial in u through the newest `order`
    estimates. Order 2 is their 2M (algorithm 2, the "midpoint" form), order 3 extends it as the authors' code
    does: their second difference is half the second derivative and enters with the weight of the whole one's,
    so that one step of 3M is of local order 3, as 2M's, with a smaller constant. The numbers are kept as
    published; a test shows it. `stochastic` is the SDE form (their section 5.2 and appendix D: x decays by q
    once more, 2h in place of h, and fresh noise `sigma' sqrt(1 - q^2)`); its order 1 is ancestral sampling.

    The first steps have fewer estimates and a lower order; the last step, to sigma 0, has order 1 (h is
    infinite), and of fewer than 15 steps the one before it has at most order 2 (their `lower_order_final`).
    """
    ratios = noise_to_signal(alphas, sigmas)
    steps = len(sigmas) - 1
    widths = [_width(float(ratios[i + 1] / ratios[i])) for i in range(steps)]
    rows = []
    for i in range(steps):
        q = float(ratios[i + 1] / ratios[i])
        newest_first = widths[i::-1][: _order(i, steps, order)]
        weights = _weights(newest_first, 2.0 if stochastic else 1.0)
        rows.append(
            Row(
                level=i,
                x=float(sigmas[i + 1] / sigmas[i]) * (q if stochastic else 1.0),
                x0=tuple(float(alphas[i + 1]) * weight for weight in weights),
                noise=float(sigmas[i + 1]) * sqrt((1.0 - q) * (1.0 + q)) if stochastic else 0.0,
            )
        )
    return rows


def _width(q: float) -> float:
    """h = -log q, infinite for a step from pure noise or to clean data."""
    return -log(q) if q > 0.0 else inf


def _order(i: int, steps: int, order: int) -> int:
    """Order of step i: limited by the estimates at hand and near the clean level."""
    if i == steps - 1:
        return 1
    if i == steps - 2 and steps < FEW_STEPS:
        order = min(order, 2)
    return min(order, i + 1)


def _weights(widths: list[float], decay: float) -> tuple[float, ...]:
    """Weights (over alpha') of the newest estimates, for the steps `widths` = (h, h of the step before, ...).

    decay: 1 for the ODE, 2 for the SDE. An infinite earlier width drops the difference over it.
    """
    h = widths[0]
    first = -expm1(-decay * h)
    if len(widths) == 1:
        return (first,)
    r0 = widths[1] / h
    if len(widths) == 2:
        slope = 0.5 * first / r0
        return first + slope, -slope
    r1 = widths[2] / h
    # Newton's differences d0 = (m0 - m1)/r0 and d1 = (m1 - m2)/r1; the authors' D1 is
    # d0 + (d0 - d1) r0/(r0 + r1), their D2 (d0 - d1)/(r0 + r1).
    share = 0.0 if isinf(r1) else r0 / (r0 + r1)
    per_d0 = _ramp(decay * h) * (1.0 + share) + _bend(decay * h) / (r0 + r1)
    per_d1 = -_ramp(decay * h) * share - _bend(decay * h) / (r0 + r1)
    return first + per_d0 / r0, -per_d0 / r0 + per_d1 / r1, -per_d1 / r1


def _ramp(h: float) -> float:
    """(1/h) times the integral of u exp(u - h) over [0, h] = 1 - (1 - exp(-h))/h."""
    return _series(h, 2) if h < 0.1 else 1.0 + expm1(-h) / h


def _bend(h: float) -> float:
    """(1/h^2) times the integral of u^2/2 exp(u - h) over [0, h] = 1/2 - (exp(-h) - 1 + h)/h^2."""
    return _series(h, 3) if h < 0.1 else 0.5 - (expm1(-h) + h) / (h * h)


def _series(h: float, first: int) -> float:
    """h/first! - h^2/(first + 1)! + ...: the above without the cancellation of small h."""
    factorial = 1.0
    for k in range(2, first + 1):
        factorial *= k
    total, power = 0.0, 1.0
    for k in range(10):
        power *= h if k == 0 else -h
        total += power / factorial
        factorial *= first + k + 1
    return total
