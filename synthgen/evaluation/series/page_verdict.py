"""The verdict on synthetic series in plain words, with the limits that it goes by."""

from __future__ import annotations

from dataclasses import dataclass

from synthgen.evaluation.series.copies import beyond_chance
from synthgen.evaluation.series.measure import SeriesMetric, percent, plain
from synthgen.evaluation.series.result import SeriesEvaluation
from synthgen.html import Markup, details, escape, group
from synthgen.html.page import Tone

NEAR = 2.0
"""An error up to twice that of the real windows drawn anew is as good as real."""

TOLD, PLAIN = 0.02, 0.1
"""A discriminative score up to .02 beyond what real parts show is as good as not told apart; from .1 on plain."""

WORTH, HEAVY = 0.05, 0.25
"""An error of a forecaster within 5 % of that from real windows is as good; from 25 % on the loss is heavy."""

COPIED, MANY = 0.03, 0.10
"""One percent of near copies is chance; from 3 % on it is more, from 10 % on many."""

_RULES = (
    f"Law of the windows, values, dynamics: good up to {NEAR:g} times the error of the real windows drawn anew, bad "
    "where that and the error between two real parts are both exceeded. Telling apart: good up to a score of "
    f"{TOLD:g} beyond the greater of chance and two real parts, bad from {PLAIN:g} on. Worth: good within "
    f"{100 * WORTH:g} % of what real windows give, bad from {100 * HEAVY:g} % on. Copies: about one percent of near "
    f"copies is chance (more where real windows repeat one another, which is taken off); worth a look from "
    f"{100 * COPIED:g} % on, bad from {100 * MANY:g} % on. A figure whose value "
    "minus two deviations over seeds keeps the limit counts as keeping it."
)

_GROUPS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("Law of the windows", ("context_fid", "correlational", "cross_correlation"), "Windows"),
    ("Values", ("wasserstein", "ks", "categories", "missing_rate", "persistence", "lengths"), "Values of channels"),
    ("Dynamics", ("autocorrelation", "spectrum"), "Autocorrelations and spectra"),
)


@dataclass(frozen=True)
class Finding:
    """One question and its answer."""

    topic: str
    tone: Tone
    text: str


def verdict(result: SeriesEvaluation) -> list[Finding]:
    """The answers that the figures allow."""
    found = [_errors(result, *one) for one in _GROUPS]
    found += [_telling(result), _worth(result), _labels(result), _copies(result)]
    return [one for one in found if one is not None]


def findings_block(result: SeriesEvaluation) -> Markup:
    """The findings as lines with a coloured edge."""
    lines = (
        f'<p class="notice {one.tone}"><b>{escape(one.topic)}.</b> {escape(one.text)}</p>' for one in verdict(result)
    )
    return Markup("\n".join(lines))


def verdict_block(result: SeriesEvaluation) -> Markup:
    """The findings and the limits that they go by."""
    return group(findings_block(result), rules_block())


def rules_block() -> Markup:
    """The limits."""
    return details("the limits that this verdict goes by", Markup(f"<p>{escape(_RULES)}</p>"))


def unknowns(result: SeriesEvaluation) -> list[str]:
    """What these figures cannot say."""
    found = []
    if result.protocol == "leaky":
        found.append(
            "Nothing here is out of sample: in the leaky protocol the generator has seen all real windows, and a copy "
            "of them scores best. It is for comparison with published figures."
        )
    elif result.later is None:
        found.append("There is no held-out later part, so what is new in time is not tested (data.test, --test).")
    if "copies" not in result.metrics:
        found.append("Copies were not looked for: too few real windows to say how near real ones come, or not asked.")
    found.append(
        f"Windows of {result.window} steps are compared: what takes longer is not seen (--window asks for more)."
    )
    return found


def tone_of(one: SeriesMetric) -> Tone | None:
    """How an error stands to its floors; None without any, and of figures that are no errors."""
    if one.name == "discriminative":
        return _tone_of_telling(one)
    if one.better != "lower":
        return None
    redrawn, halves = one.at("redrawn"), one.at("halves")
    if redrawn is None and halves is None:
        return None
    low = one.value - 2 * (one.spread or 0.0)
    best = NEAR * redrawn.value if redrawn is not None else 0.0
    other = halves.value if halves is not None else best
    if low <= best:
        return "good"
    return "warn" if low <= max(other, best) else "bad"


def written(one: SeriesMetric, value: float) -> str:
    """A value of this figure as text."""
    return percent(value) if one.share else plain(value)


def _errors(result: SeriesEvaluation, topic: str, names: tuple[str, ...], who: str) -> Finding | None:
    known = [(one, found) for name in names if (one := result.metrics.get(name)) and (found := tone_of(one))]
    if not known:
        return None
    tones = [of for _, of in known]
    tone: Tone = "bad" if "bad" in tones else "warn" if "warn" in tones else "good"
    worst = [one for one, of in known if of == tone]
    told = "; ".join(f"{one.title} {written(one, one.value)} ({_floors(one)})" for one in worst)
    heads = {
        "good": f"{who} are distributed as in the real series",
        "warn": f"{who} differ from the real series, though not more than two real parts do from each other",
        "bad": f"{who} differ from the real series more than two real parts do from each other",
    }
    return Finding(topic, tone, f"{heads[tone]}: {told}.")


def _floors(one: SeriesMetric) -> str:
    names = {"redrawn": "drawn anew", "halves": "two real parts"}
    return ", ".join(f"{names[f.name]}: {written(one, f.value)}" for f in one.floors if f.name in names)


def _tone_of_telling(one: SeriesMetric) -> Tone:
    floor = max((f.value for f in one.floors if f.name in ("chance", "halves")), default=0.0)
    low = one.value - 2 * (one.spread or 0.0) - floor
    return "good" if low <= TOLD else "bad" if low > PLAIN else "warn"


def _telling(result: SeriesEvaluation) -> Finding | None:
    one = result.metrics.get("discriminative")
    if one is None:
        return None
    tone = _tone_of_telling(one)
    text = {
        "good": "A small recurrent network cannot tell synthetic windows from real ones",
        "warn": "A small recurrent network tells synthetic windows from real ones more often than chance",
        "bad": "A small recurrent network tells synthetic windows from real ones",
    }[tone]
    expected = one.at("chance")
    beside = "" if expected is None else f", a perfect generator about {plain(expected.value)}"
    share = percent(0.5 + one.value)
    return Finding(
        "Telling apart", tone, f"{text}: {share} right (score {plain(one.value)}; 0: not at all{beside}; .5: always)."
    )


def _worth(result: SeriesEvaluation) -> Finding | None:
    known = [
        result.metrics[name] for name in ("predictive_later", "predictive", "forecast_skill") if name in result.metrics
    ]
    judged = [(one, real) for one in known if (real := one.at("real")) is not None]
    if not judged:
        return None
    losses = []
    for one, real in judged:
        low = one.value - 2 * (one.spread or 0.0)
        if one.better == "higher":  # a skill: what is left of the error
            low = 1 - (one.value + 2 * (one.spread or 0.0))
            losses.append(low / max(1 - real.value, 1e-9) - 1)
        else:
            losses.append(low / max(real.value, 1e-9) - 1)
    worst = max(losses)
    tone: Tone = "good" if worst <= WORTH else "bad" if worst > HEAVY else "warn"
    told = "; ".join(f"{o.title} {written(o, o.value)} (from real windows: {written(o, r.value)})" for o, r in judged)
    text = {
        "good": "Models trained on synthetic windows foretell real ones as well as those trained on real windows",
        "warn": "Models trained on synthetic windows foretell real ones somewhat worse than those of real windows",
        "bad": "Models trained on synthetic windows foretell real ones much worse than those trained on real windows",
    }[tone]
    return Finding("Worth", tone, f"{text}: {told}.")


def _labels(result: SeriesEvaluation) -> Finding | None:
    known = [result.metrics[name] for name in ("agreement", "tstr_accuracy") if name in result.metrics]
    judged = [(one, one.floors[0]) for one in known if one.floors]
    if not judged:
        return None
    short = max(floor.value - one.value - 2 * (one.spread or 0.0) for one, floor in judged)
    tone: Tone = "good" if short <= 0.05 else "bad" if short > 0.15 else "warn"
    told = "; ".join(
        f"{one.title} {percent(one.value)} (real windows: {percent(floor.value)})" for one, floor in judged
    )
    text = {
        "good": "Synthetic windows are of the class that they are called",
        "warn": "Synthetic windows are not always of the class that they are called",
        "bad": "Synthetic windows are often not of the class that they are called",
    }[tone]
    return Finding("Classes", tone, f"{text}: {told}.")


def _copies(result: SeriesEvaluation) -> Finding | None:
    known = [result.metrics[name] for name in ("exact_copies", "copies", "shifted_copies") if name in result.metrics]
    if not known:
        return None
    worst = max((beyond_chance(one) for one in known if one.name != "exact_copies"), default=0.0)
    exact = result.metrics.get("exact_copies")
    equal = 0.0 if exact is None else exact.value - (exact.floor or 0.0)
    tone: Tone = "bad" if worst > MANY or equal > 0.05 else "warn" if worst > COPIED or equal > 0.001 else "good"
    told = "; ".join(f"{one.title} {percent(one.value)}" for one in known)
    text = {
        "good": "No more synthetic windows lie near a training window than chance brings there",
        "warn": "More synthetic windows lie near a training window than chance brings there",
        "bad": "Many synthetic windows are training windows again",
    }[tone]
    return Finding("Copies", tone, f"{text}: {told}.")
