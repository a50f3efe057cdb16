"""The verdict in plain words: quality, coverage, memorisation, labels, and what cannot be concluded."""

from __future__ import annotations

from dataclasses import dataclass

from synthgen.evaluation.page_pieces import bullets
from synthgen.evaluation.result import SMALL_COUNT, Evaluation, Metric
from synthgen.html import Markup, escape, group
from synthgen.html.page import Tone

_ALLOWED = 0.01
"""Below this share of memorised images the verdict is good, when even the interval's end is."""

_NEARLY = 0.95
"""A share of the floor from which a figure counts as reaching it, where it has no interval."""


@dataclass(frozen=True)
class Finding:
    """One question and its answer."""

    topic: str
    tone: Tone
    text: str


def verdict(result: Evaluation) -> list[Finding]:
    """The answers that the figures allow, in the order quality, coverage, copies, labels."""
    if result.identical:
        return [Finding("Copies", "bad", "The two sets are the same images: every image is a copy of a real one.")]
    found = (_quality(result), _coverage(result), _copies(result), _labels(result))
    return [one for one in found if one is not None]


def verdict_block(result: Evaluation) -> Markup:
    """The findings, and what cannot be concluded."""
    return group(findings_block(result), unknowns_block(result))


def findings_block(result: Evaluation) -> Markup:
    """The findings as lines with a coloured edge."""
    return Markup(
        "\n".join(
            f'<p class="notice {one.tone}"><b>{escape(one.topic)}.</b> {escape(one.text)}</p>'
            for one in verdict(result)
        )
    )


def unknowns_block(result: Evaluation) -> Markup:
    """What cannot be concluded, as a list."""
    return group(Markup("<h3>What this cannot tell</h3>"), bullets(unknowns(result)))


def _quality(result: Evaluation) -> Finding | None:
    fid, precision = result.metrics.get("fid"), result.metrics.get("precision")
    if fid is None or fid.floor is None:
        return None
    inside = ""
    if precision is not None and precision.floor is not None:
        inside = (
            f" {_percent(precision.value)} of the images lie where real ones lie; of real ones "
            f"{_percent(precision.floor)} do."
        )
    if _reaches(fid):
        text = f"As a whole the images cannot be told from other real ones: FID {fid.value:.3g}, real {fid.floor:.3g}."
        return Finding("Quality", "good", text + inside)
    times = f", {fid.value / fid.floor:,.1f} times as much" if fid.floor > 0 else ""
    text = f"The images can be told from real ones: FID {fid.value:.3g} where other real images have {fid.floor:.3g}"
    few = precision is not None and precision.floor is not None and precision.value < 0.5 * precision.floor
    return Finding("Quality", "bad" if few else "warn", f"{text}{times}.{inside}")


def _coverage(result: Evaluation) -> Finding | None:
    measured = [result.metrics[name] for name in ("recall", "coverage", "modes", "vendi") if name in result.metrics]
    measured = [one for one in measured if one.floor is not None]
    if not measured:
        return None
    short = [one for one in measured if not _reaches(one)]
    if not short:
        names = ", ".join(one.title for one in measured)
        return Finding("Coverage", "good", f"They are as various as real images ({names}).")
    told = ", ".join(f"{one.title} {_written(one, one.value)} (real: {_written(one, one.floor)})" for one in short)
    return Finding("Coverage", "warn", f"They do not cover what real images cover: {told}.")


def _copies(result: Evaluation) -> Finding | None:
    found = result.metrics.get("memorised")
    if found is None or found.interval is None:
        return None
    details = result.details.get("memorised", {})
    low, high = found.interval
    recall = list(details.get("self_test", {}).values())
    tested = f" Of copies planted as a test, {_percent(sum(recall) / len(recall))} were found." if recall else ""
    twins = _twins(result)
    if low > 0:
        text = f"{_percent(found.value)} are copies of training images or as good as copies ({_range(low, high)})."
        return Finding("Copies", "bad", text + tested + twins)
    text = f"No sign of memorised training images; up to {_percent(high)} cannot be excluded."
    return Finding("Copies", "info" if high > _ALLOWED or twins else "good", text + tested + twins)


def _twins(result: Evaluation) -> str:
    """What is to be said of samples that repeat one another; nothing where real images do so as often."""
    found = result.metrics.get("duplicates")
    if found is None or found.interval is None or found.floor is None or found.interval[0] <= found.floor:
        return ""
    return f" {_percent(found.value)} are near repeats of another one, beyond what real images show."


def _labels(result: Evaluation) -> Finding | None:
    found = result.metrics.get("agreement")
    if found is None or found.floor is None:
        return None
    text = (
        f"The judge reads the label that was asked for in {_percent(found.value)} of the images, and the right one in "
        f"{_percent(found.floor)} of real ones."
    )
    shares = [(one.agreement, one.name) for one in result.classes if one.agreement is not None]
    if shares and not _reaches(found):
        share, name = min(shares)
        text += f" Weakest: {name}, {_percent(share)}."
    return Finding("Labels", "good" if _reaches(found) else "warn", text)


def unknowns(result: Evaluation) -> list[str]:
    """What nobody should read out of these figures."""
    found = [
        "Whether a classifier gets better with these images: synthgen augment-classifier measures that.",
        f"How they compare with images measured by other features, another n, or other real images: all figures "
        f"belong to {result.extractor['name']} and n = {result.n:,}.",
    ]
    if result.n < SMALL_COUNT:
        found.append(f"Small differences: n = {result.n:,} is below {SMALL_COUNT:,}.")
    details = result.details.get("memorised")
    if details is not None:
        found.append(
            "That nobody's data leaks: the alarm knows whole images that were moved by up to two pixels, brightened "
            "or given another contrast, not parts of images, mirrored ones, or ones put together from several."
        )
        if not details["training_known"]:
            found.append(f"Which images the generator learned from: {details['training_set']}.")
    if "agreement" not in result.metrics:
        found.append("Whether the images show what their labels say: that was not measured.")
    return found


def _reaches(metric: Metric) -> bool:
    """Whether the figure is as good as its floor: within its interval, else nearly."""
    if metric.floor is None or metric.value == metric.floor:
        return True
    if metric.interval is None:
        near = metric.value / _NEARLY if metric.better == "higher" else metric.value * _NEARLY
    else:
        near = metric.interval[1] if metric.better == "higher" else metric.interval[0]
    return near >= metric.floor if metric.better == "higher" else near <= metric.floor


def _written(metric: Metric, value: float | None) -> str:
    if value is None:
        return "–"
    return _percent(value) if metric.share else f"{value:.3g}"


def _range(low: float, high: float) -> str:
    return f"95 % interval {_percent(low)} to {_percent(high)}"


def _percent(share: float) -> str:
    """Two digits after the point below one percent, where they matter."""
    return f"{100 * share:.2f} %" if 0 < share < 0.01 else f"{100 * share:.1f} %"
