"""The verdict on synthetic rows in plain words, with the limits that it goes by."""

from __future__ import annotations

from dataclasses import dataclass

from synthgen.evaluation.tables.figures import FLOORS, percent
from synthgen.evaluation.tables.measure import TableMetric
from synthgen.evaluation.tables.result import TableEvaluation
from synthgen.evaluation.tables.utility import TITLES
from synthgen.html import Markup, details, escape, group
from synthgen.html.page import Tone

NEAR, FAR = 1.5, 3.0
"""An error up to 1.5 times its floor is as good as real rows; from 3 times on it is bad."""

PLAINLY = 0.05
"""An error that is larger than its floor by that much is bad too, however large the floor of few rows is."""

TOLD, PLAIN = 0.55, 0.65
"""A detection AUC up to 0.55 is as good as not told apart; from 0.65 on synthetic rows are plain to see."""

LOSS, HEAVY = 0.01, 0.05
"""A score within 1 % of the one that real rows give is as good; from 5 % on the loss is heavy."""

SHORT = 0.05
"""Alpha-precision and beta-recall may be that much below real held-out rows."""

MISSING = 0.10
"""Relative error of missing rates that is tolerated, or what chance makes of it if that is more."""

_PRIVACY = ("dcr_share", "singling_out_univariate", "singling_out", "linkability", "inference", "membership")
_RULES = (
    f"Columns and pairs: good up to {NEAR:g} times the error of the training rows drawn anew, bad from {FAR:g} times "
    f"or {100 * PLAINLY:g} points more on. "
    f"Telling apart: good up to an AUC of {TOLD:g}, bad from {PLAIN:g} on. Worth: good within {100 * LOSS:g} % of what "
    f"real rows give, bad from {100 * HEAVY:g} % on. Coverage: at most {100 * SHORT:g} points below held-out rows. "
    f"Missing values: within {100 * MISSING:g} %, or {NEAR:g} times what drawing rows anew changes. Privacy: good when "
    "no attack on training rows does better than on held-out ones beyond chance. A figure whose 95 % interval reaches "
    "the limit counts as reaching it."
)


@dataclass(frozen=True)
class Finding:
    """One question and its answer."""

    topic: str
    tone: Tone
    text: str


def verdict(result: TableEvaluation) -> list[Finding]:
    """The answers that the figures allow."""
    found = (
        _errors(result),
        _detection(result),
        _worth(result),
        _coverage(result),
        _missing(result),
        _privacy(result),
        _training(result),
    )
    return [one for one in found if one is not None]


def findings_block(result: TableEvaluation) -> Markup:
    """The findings as lines with a coloured edge."""
    return Markup(
        "\n".join(
            f'<p class="notice {one.tone}"><b>{escape(one.topic)}.</b> {escape(one.text)}</p>'
            for one in verdict(result)
        )
    )


def verdict_block(result: TableEvaluation) -> Markup:
    """The findings and the limits that they go by."""
    return group(findings_block(result), rules_block())


def rules_block() -> Markup:
    """The limits."""
    return details("the limits that this verdict goes by", Markup(f"<p>{escape(_RULES)}</p>"))


def _low(one: TableMetric) -> float:
    return one.value if one.interval is None else one.interval[0]


def _errors(result: TableEvaluation) -> Finding | None:
    known = [result.metrics[name] for name in ("shape", "trend", "trend_fixed") if name in result.metrics]
    judged = [one for one in known if one.floors and one.floors[0].value > 0]
    if not judged:
        return None
    tones = [_times(one) for one in judged]
    tone: Tone = "bad" if "bad" in tones else "warn" if "warn" in tones else "good"
    told = "; ".join(f"{one.title} {percent(one.value)} (drawn anew: {percent(one.floors[0].value)})" for one in judged)
    heads = {
        "good": "Columns and pairs of columns are distributed as in the real table",
        "warn": "Columns or pairs of columns differ somewhat from the real table",
        "bad": "Columns or pairs of columns differ clearly from the real table",
    }
    worst = next(iter(result.details.get("trend", {}).get("trend_fixed", [])), None)
    pair = (
        f" The pair furthest off: {worst['columns'][0]} and {worst['columns'][1]}, {percent(worst['error'])}."
        if worst and worst["error"] is not None and tone != "good"
        else ""
    )
    return Finding("Columns and pairs", tone, f"{heads[tone]}: {told}.{pair}")


def _times(one: TableMetric) -> Tone:
    limit = one.floors[0].value
    return "good" if _low(one) <= NEAR * limit else "bad" if _low(one) > min(FAR * limit, limit + PLAINLY) else "warn"


def _detection(result: TableEvaluation) -> Finding | None:
    one = result.metrics.get("detection_auc")
    if one is None:
        return None
    low = _low(one)
    tone: Tone = "good" if low <= TOLD else "bad" if low > PLAIN else "warn"
    text = {
        "good": "Gradient boosting cannot tell synthetic rows from real ones",
        "warn": "Gradient boosting tells synthetic rows from real ones more often than chance",
        "bad": "Gradient boosting tells synthetic rows from real ones",
    }[tone]
    smote = one.at("smote")
    beside = "" if smote is None else f"; SMOTE: {smote.value:.3f}"
    told = f"{text}: AUC {one.value:.3f} (0.5: not at all{beside})."
    if one.interval is not None and one.interval[1] < 1 - TOLD:
        tone = "warn"
        told += " It is taken in more often than chance: synthetic rows lie too near to single real rows."
    return Finding("Telling apart", tone, told)


def _worth(result: TableEvaluation) -> Finding | None:
    name = next((name for name in TITLES if name in result.metrics), None)
    if name is None:
        return None
    one = result.metrics[name]
    ceiling = one.at("real")
    if ceiling is None:
        return None
    chance = {"tstr_auc": 0.5, "tstr_r2": 0.0}.get(name)
    if chance is not None and (ceiling.value if ceiling.interval is None else ceiling.interval[0]) <= chance:
        text = f"{result.target} cannot be predicted from real rows either"
        figures = (
            f"trained on them {one.title.partition(',')[0]} is {ceiling.value:.3f}, on synthetic ones {one.value:.3f}"
        )
        return Finding("Worth", "info", f"{text} ({figures}): nothing follows. --target names another column.")
    loss = (ceiling.value - one.value) / (abs(ceiling.value) or 1.0)
    end = one.value if one.interval is None else one.interval[1]
    reached = end >= ceiling.value * (1 - LOSS)
    tone: Tone = "good" if loss <= LOSS else "bad" if loss > HEAVY and not reached else "warn"
    what = one.title.partition(",")[0]
    text = (
        f"A model of {result.target} that is trained on synthetic rows has {what} {one.value:.3f} on real test rows; "
        f"trained on the real rows it has {ceiling.value:.3f}"
    )
    smote = one.at("smote")
    beside = "" if smote is None else f", on SMOTE's {smote.value:.3f}"
    leaked = "" if result.holdout else " The test rows were not held out from the generator."
    return Finding("Worth", tone, f"{text}{beside}.{leaked}")


def _coverage(result: TableEvaluation) -> Finding | None:
    known = [result.metrics[name] for name in ("alpha_precision", "beta_recall") if name in result.metrics]
    known = [one for one in known if one.floors]
    if not known:
        return None
    short = [
        one for one in known if (one.value if one.interval is None else one.interval[1]) < one.floors[0].value - SHORT
    ]
    told = "; ".join(
        f"{one.title} {percent(one.value)} ({FLOORS[one.floors[0].name]}: {percent(one.floors[0].value)})"
        for one in known
    )
    repeated = result.metrics.get("duplicates")
    twins = ""
    if repeated and repeated.floors and _low(repeated) > repeated.floors[0].value:
        twins = f" {percent(repeated.value)} of the rows repeat another one, in the real table "
        twins += f"{percent(repeated.floors[0].value)}."
    if short:
        return Finding(
            "Coverage", "warn", f"Synthetic rows do not lie where real ones do, or leave some out: {told}.{twins}"
        )
    return Finding(
        "Coverage", "info" if twins else "good", f"Synthetic rows are as various as real ones: {told}.{twins}"
    )


def _missing(result: TableEvaluation) -> Finding | None:
    known = [result.metrics[name] for name in ("missing_rate", "missing_dependence") if name in result.metrics]
    if not known:
        return None
    off = [one for one in known if _low(one) > max(MISSING, NEAR * (one.floor or 0.0))]
    told = "; ".join(f"{one.title.replace(', relative error', '')} off by {percent(one.value)}" for one in known)
    if off:
        return Finding("Missing values", "warn", f"Values are not missing as in the real table: {told}.")
    return Finding("Missing values", "good", f"Values are missing as often, and with the same others: {told}.")


def _privacy(result: TableEvaluation) -> Finding | None:
    known = [result.metrics[name] for name in _PRIVACY if name in result.metrics]
    if not known:
        if result.holdout is None:
            return Finding("Privacy", "info", "Not measured: that needs real rows that no generator saw (--test).")
        return None
    # A share of nearer rows has its best value in the middle; the risks of attacks have theirs at 0.
    beyond = [one for one in known if _low(one) > (one.ideal or 0.0)]
    told = "; ".join(f"{one.title} {_written(one)}" for one in beyond or known[:1])
    if not beyond:
        return Finding("Privacy", "good", f"No attack on training rows does better than on held-out ones: {told}.")
    strong = any(_low(one) > (one.ideal or 0.0) + 0.05 for one in beyond)
    text = f"Training rows can be attacked better than held-out ones: {told}."
    return Finding("Privacy", "bad" if strong else "warn", text)


def _written(one: TableMetric) -> str:
    value = percent(one.value) if one.share else f"{one.value:.3f}"
    if one.interval is None:
        return value
    low, high = (percent(end) if one.share else f"{end:.3f}" for end in one.interval)
    return f"{value} ({low} to {high})"


def _training(result: TableEvaluation) -> Finding:
    leak = result.leak
    tone: Tone = {"clean": "good", "unknown": "info", "other": "warn", "test": "bad"}[leak.status]  # type: ignore[assignment]
    overlap = ""
    if leak.held_out:
        overlap = f" {leak.overlap:,} of the {leak.held_out:,} held-out rows are equal to a training row."
    return Finding("Training rows", tone, f"{leak.sentence[:1].upper()}{leak.sentence[1:]}.{overlap}")


def unknowns(result: TableEvaluation) -> list[str]:
    """What nobody should read out of these figures."""
    found = [
        "Whether a model gets better when they are added to real rows: synthgen augment-classifier measures that.",
        f"How they compare with figures at another n or against other real rows: all belong to n = {result.n:,}.",
        "That nobody's data leaks: the attacks are known ones, and no guarantee as differential privacy gives one.",
    ]
    if result.holdout is None:
        found.append("How rows fare that the generator never saw: none were given.")
    return found
