"""Gaussian samplers as pure functions from noise levels to a table of coefficients, in float64.

Notation. Level t is `x_t = alpha_t x0 + sigma_t eps`; a step goes from level i (alpha, sigma) to level i + 1
(alpha', sigma'). With s = sigma / alpha, every formula here depends on one number per step, the shrinkage

    q = s' / s = exp(-h),   h = lambda' - lambda,   lambda = log(alpha / sigma)  (half the log SNR)

which is finite and in [0, 1) from pure noise (alpha = 0, q = 0) to clean data (sigma' = 0, q = 0). The
formulas therefore hold alike for variance-exploding (alpha = 1), variance-preserving (linear, cosine) and
flow (alpha = 1 - t, sigma = t) paths.
"""

from __future__ import annotations

from math import sqrt

from synthgen.diffusion.dpm import dpmpp_rows
from synthgen.diffusion.tables import Float64Array, Row, SamplerTable, check_levels, noise_to_signal
from synthgen.errors import UsageError, nearest

__all__ = ["SAMPLERS", "Row", "SamplerTable", "build_table"]

SAMPLERS = ("ddpm", "ddim", "euler", "heun", "dpm++2m", "dpm++2m-sde", "dpm++3m", "consistency")


def build_table(name: str, alphas: object, sigmas: object, *, eta: float = 0.0) -> SamplerTable:
    """The table of sampler `name` over the given noise levels.

    alphas, sigmas: (n + 1,), sigma/alpha strictly falling, the last level clean (alpha 1, sigma 0); alpha may
    be 0 at the first level. eta: share of fresh noise of `ddim`, 0 (none) to 1 (as `ddpm`).

    Raises UsageError for an unknown name or an eta that does not apply, ValueError for levels that are no
    schedule.
    """
    check_name(name)
    if not 0.0 <= eta <= 1.0:
        raise UsageError(f"eta must lie between 0 and 1, not {eta}")
    if eta and name != "ddim":
        raise UsageError(f"eta {eta} has no meaning for sampler '{name}'", "eta is a setting of ddim")
    a, s = check_levels(alphas, sigmas)
    return SamplerTable(name, a, s, tuple(_rows(name, a, s, eta)))


def check_name(name: str) -> None:
    """Raise UsageError for what is no sampler, naming the nearest one."""
    if name not in SAMPLERS:
        raise UsageError(f"unknown sampler '{name}'{nearest(name, SAMPLERS)}", f"known samplers: {', '.join(SAMPLERS)}")


def _rows(name: str, alphas: Float64Array, sigmas: Float64Array, eta: float) -> list[Row]:
    if name == "ddpm":
        return ddim_rows(alphas, sigmas, eta=1.0)
    if name in ("ddim", "euler"):
        return ddim_rows(alphas, sigmas, eta=eta)
    if name == "heun":
        return heun_rows(alphas, sigmas)
    if name == "consistency":
        return consistency_rows(alphas, sigmas)
    return dpmpp_rows(alphas, sigmas, order=3 if name == "dpm++3m" else 2, stochastic=name == "dpm++2m-sde")


def ddim_rows(alphas: Float64Array, sigmas: Float64Array, *, eta: float) -> list[Row]:
    """DDIM, and with it DDPM (eta 1) and Euler (eta 0).

    Song, Meng, Ermon 2021 (arXiv:2010.02502), equation 12 with the noise of equation 16,
    `x' = alpha' x0 + sqrt(sigma'^2 - std^2) eps_hat + std z`, `std = eta sigma' sqrt(1 - q^2)`, where
    `eps_hat = (x - alpha x0) / sigma`. Their sigma_t is our std, their alpha_t our alpha^2.

    - eta = 1 is ancestral sampling from the posterior q(x' | x, x0): Ho, Jain, Abbeel 2020 (2006.11239),
      equations 6 and 7, with the posterior variance ("fixed_small"); for paths that do not preserve variance,
      Kingma et al. 2021 (arXiv:2107.00630), appendix A.2.
    - eta = 0 is Euler's method on the probability-flow ODE in s: Karras et al. 2022 (arXiv:2206.00364),
      algorithm 1 without its correction, `y' = y + (s' - s) (y - x0) / s` with y = x / alpha (their equations
      3 and 4).
    """
    ratios = noise_to_signal(alphas, sigmas)
    rows = []
    for i in range(len(sigmas) - 1):
        q = float(ratios[i + 1] / ratios[i])
        kept = sqrt(1.0 - eta * eta * (1.0 - q * q))  # the part of sigma' that repeats the noise already in x
        rows.append(
            Row(
                level=i,
                x=float(sigmas[i + 1] / sigmas[i]) * kept,
                x0=(float(alphas[i + 1]) * (1.0 - q * kept),),
                noise=eta * float(sigmas[i + 1]) * sqrt((1.0 - q) * (1.0 + q)),
            )
        )
    return rows


def heun_rows(alphas: Float64Array, sigmas: Float64Array) -> list[Row]:
    """Heun's method on the probability-flow ODE in s: Karras et al. 2022 (arXiv:2206.00364), algorithm 1.

    Their line 8, `y' = y + (s' - s) (d + d') / 2`, needs the x of the step's beginning; that is linear in the
    Euler point y1 = q y + (1 - q) a and the first estimate a, and what is left is a correction of the Euler
    point by the two estimates: `y' = y1 + (a' - a) (1 - q) / (2 q)`. The last step (sigma' = 0) is Euler's,
    as in the paper, and so is a first step from alpha = 0, where s is infinite and the correction has no
    limit.
    """
    ratios = noise_to_signal(alphas, sigmas)
    rows = []
    for i, first in enumerate(ddim_rows(alphas, sigmas, eta=0.0)):
        rows.append(first)
        q = float(ratios[i + 1] / ratios[i])
        if q > 0.0:
            correction = float(alphas[i + 1]) * (1.0 - q) / (2.0 * q)
            rows.append(Row(level=i + 1, x=1.0, x0=(correction, -correction)))
    return rows


def consistency_rows(alphas: Float64Array, sigmas: Float64Array) -> list[Row]:
    """Multistep consistency sampling: Song et al. 2023 (arXiv:2303.01469), algorithm 1.

    The clean image that the network sees is noised afresh to the next level: `x' = alpha' x0 + sigma' z`. For models
    that were tuned for it; the posterior mean of any other would lose at each step what it cannot see.
    """
    return [Row(level=i, x=0.0, x0=(float(alphas[i + 1]),), noise=float(sigmas[i + 1])) for i in range(len(sigmas) - 1)]
