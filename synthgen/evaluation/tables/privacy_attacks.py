"""The three attacks of Giomi et al. 2023 as measures: singling out, linkability, inference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from synthgen.data.tables.schema import TableData
from synthgen.evaluation.tables.figures import percent
from synthgen.evaluation.tables.measure import Floor, FloorName, Found, Measure, TableMetric, TableParts
from synthgen.evaluation.tables.privacy_risk import Attack, clipped, pooled
from synthgen.evaluation.tables.privacy_singling import singling_out
from synthgen.evaluation.tables.privacy_targets import inference, linkability, stage

ATTEMPTS = 1_000
"""Attacks of a kind, fewer where there are fewer rows."""

INFERENCE_ATTEMPTS = 500
"""Targets whose value is guessed, for every secret column."""

MOST_SECRETS = 20
"""Columns that are taken for a secret, drawn at random where there are more."""

MOST_SYNTHETIC = 50_000
"""Synthetic rows that the attacker searches; random ones beyond that are left out."""

_TITLES = {
    "singling_out_univariate": "singling-out risk, one column",
    "singling_out": "singling-out risk, several columns",
    "linkability": "linkability risk",
    "inference": "inference risk",
}

_WHAT = {
    "singling_out_univariate": "a value that one synthetic row has singles out a training row",
    "singling_out": "a description of one synthetic row by several columns singles out a training row",
    "linkability": "two halves of a training row lead to the same synthetic row",
    "inference": "a value of a training row is that of the synthetic row nearest in all other columns",
}

ALARM = 0.05
"""A risk above this, and significantly above 0, is worth a warning."""

Run = Callable[[TableParts, TableData, TableData], dict[str, Any]]
"""Attacks with these synthetic rows and this control; `attacks` by name, and more for the details."""


def _some(data: TableData, seed: int) -> TableData:
    if len(data) <= MOST_SYNTHETIC:
        return data
    return data.select(np.sort(np.random.default_rng([seed, 51]).permutation(len(data))[:MOST_SYNTHETIC]))


def _single(parts: TableParts, synthetic: TableData, control: TableData) -> dict[str, Any]:
    found = [
        singling_out(
            parts.real,
            synthetic,
            control,
            attempts=ATTEMPTS,
            seed=parts.seed,
            several=several,
            check=parts.check_stop,
        )
        for several in (False, True)
    ]
    return {one.name: one for one in found if one is not None}


def _link(parts: TableParts, synthetic: TableData, control: TableData) -> dict[str, Any]:
    scene = stage(parts.real, synthetic, control, attempts=ATTEMPTS, seed=parts.seed)
    found = linkability(scene, seed=parts.seed, check=parts.check_stop)
    return {} if found is None else {found.name: found}


def _infer(parts: TableParts, synthetic: TableData, control: TableData) -> dict[str, Any]:
    names = [one.name for one in parts.real.schema.modelled]
    if len(names) < 2:
        return {}
    chosen = np.sort(np.random.default_rng([parts.seed, 53]).permutation(len(names))[:MOST_SECRETS])
    most = INFERENCE_ATTEMPTS * len(chosen)
    scene = stage(parts.real, synthetic, control, attempts=most, seed=parts.seed)
    secrets = [names[i] for i in chosen]
    found = inference(scene, secrets, seed=parts.seed, attempts=INFERENCE_ATTEMPTS, check=parts.check_stop)
    return {"inference": pooled("inference", list(found.values())), "columns": found}


def _found(parts: TableParts, run: Run, name: str) -> Found:
    assert parts.holdout is not None
    control = parts.holdout
    ours = run(parts, _some(parts.fake, parts.seed), control)
    others: dict[FloorName, dict[str, Any]] = {}
    tables: tuple[tuple[FloorName, TableData | None], ...] = (("smote", parts.smote), ("bootstrap", parts.bootstrap))
    for floor, data in tables:
        if data is not None:
            rows = _some(data, parts.seed)
            others[floor] = parts.keep(f"privacy.{name}.{floor}", lambda rows=rows: run(parts, rows, control))  # type: ignore[misc]
    attacks = {key: one for key, one in ours.items() if isinstance(one, Attack)}
    metrics = tuple(_metric(one, others) for one in attacks.values())
    details: dict[str, Any] = {"attacks": [one.to_dict() for one in attacks.values()]}
    notes = [
        f"{_TITLES[key]}: guessing without the synthetic rows did as well, so the attack shows nothing"
        for key, one in attacks.items()
        if one.weak
    ]
    if "columns" in ours:
        details["columns"] = _by_column(ours["columns"])
        total = len(parts.real.schema.modelled)
        if len(ours["columns"]) < total:
            notes.append(f"inference: {len(ours['columns'])} random columns of {total} are taken for secrets")
    if len(parts.fake) > MOST_SYNTHETIC:
        notes.append(f"{name}: {MOST_SYNTHETIC:,} random rows of the {len(parts.fake):,} synthetic rows")
    return Found(metrics, details, tuple(_warnings(attacks)), tuple(notes))


def _metric(attack: Attack, others: dict[FloorName, dict[str, Any]]) -> TableMetric:
    risk, bounds = attack.risk(), clipped(attack.risk())
    value = max(0.0, risk.value)
    floors = []
    for name, found in others.items():
        if attack.name in found:
            other = found[attack.name]
            floors.append(Floor(name, max(0.0, other.risk().value), other.attempts, clipped(other.risk())))
    sentence = (
        f"In {percent(attack.successes / attack.attempts)} of {attack.attempts:,} attacks {_WHAT[attack.name]}; of "
        f"rows that were never trained on {percent(attack.control / attack.control_attempts)}, by guessing "
        f"{percent(attack.naive / attack.attempts)}: a risk of {percent(value)}."
    )
    title = _TITLES[attack.name]
    return TableMetric(
        attack.name, title, value, attack.attempts, "lower", sentence, tuple(floors), bounds, "wilson", True
    )


def _by_column(found: dict[str, Attack]) -> list[dict[str, Any]]:
    """The inference of every secret, the riskiest first. Intervals are widened for the number of columns tried."""
    from scipy.stats import norm

    level = float(norm.ppf(1 - 0.025 / len(found)))
    rows = [one.to_dict() | {"column": name, "interval": list(clipped(one.risk(level)))} for name, one in found.items()]
    return sorted(rows, key=lambda row: -row["risk"])


def _warnings(attacks: dict[str, Attack]) -> list[str]:
    found = []
    for name, one in attacks.items():
        risk = one.risk()
        if risk.value > ALARM and risk.value - risk.error > 0 and not one.weak:
            found.append(
                f"{_TITLES[name]} of {percent(risk.value)}: {_WHAT[name]}, beyond what the population explains"
            )
    return found


def attack_measures(impossible: Callable[[TableParts], str | None]) -> tuple[Measure, ...]:
    """Singling out, linkability, inference."""

    def measure(name: str, gives: tuple[str, ...], run: Run) -> Measure:
        return Measure(name, gives, lambda parts: _found(parts, run, name), impossible, gives)

    return (
        measure("singling_out", ("singling_out_univariate", "singling_out"), _single),
        measure("linkability", ("linkability",), _link),
        measure("inference", ("inference",), _infer),
    )
