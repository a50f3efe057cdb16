"""The pieces of the augmentation page: bars, tables, curves."""

from __future__ import annotations

from synthgen.downstream.result import ECE_DEFINITION, Augmentation, Comparison, Measure, Variant
from synthgen.downstream.summary import baselines
from synthgen.html import Markup, Section, bar_chart, details, figure, group, line_chart, paragraph, section, table

_MOST_CLASSES = 30
_LONGEST_LABEL = 25


def percent(value: float | None, digits: int = 2) -> str | None:
    """A share in percent, None where there is none."""
    return None if value is None else f"{100 * value:.{digits}f} %"


def spread(mean: float | None, deviation: float | None, digits: int = 2) -> str | None:
    """A mean and its deviation between seeds, in percent."""
    if mean is None or deviation is None:
        return percent(mean, digits)
    return _whole(f"{100 * mean:.{digits}f} ± {100 * deviation:.{digits}f} %")


def against(result: Augmentation, name: str, base: str, measure: Measure = "accuracy") -> Comparison | None:
    """The comparison of a variant with another, None where there is none."""
    return next(
        (one for one in result.comparisons if (one.name, one.against, one.measure) == (name, base, measure)), None
    )


def interval(found: Comparison | None) -> list[str | None]:
    """Two cells: the difference with its interval in points, and the verdict."""
    if found is None:
        return [None, None]
    one = found.difference
    amount = f"{100 * one.value:+.2f} ({100 * one.low:+.2f} to {100 * one.high:+.2f})"
    return [_whole(amount), _whole(one.verdict)]


def _short(label: str) -> str:
    """A label that fits beside a bar."""
    if len(label) <= _LONGEST_LABEL:
        return label
    for old, new in ((" + ", "+"), ("synthetic", "synth"), (" : ", ":"), (",", "")):
        label = label.replace(old, new)
    return label


def _whole(text: str) -> str:
    """The text with spaces at which no line breaks: figures stay together, and the table scrolls."""
    return text.replace(" ", "\u00a0")


def figures(result: Augmentation) -> Markup:
    """Bars and the table of all variants."""
    variants = list(result.variants.values())
    parts = [_bars(result, variants, "accuracy"), _table(result, variants, "accuracy")]
    if result.rare and variants[0].rare_recall is not None:
        names = ", ".join(result.rare)
        parts.append(paragraph(f"The rare classes alone ({names}): share of their test {result.unit} read right."))
        parts += [_bars(result, variants, "rare_recall"), _table(result, variants, "rare_recall")]
    return group(*parts)


def _value(one: Variant, measure: Measure) -> tuple[float, float | None]:
    if measure == "accuracy":
        return one.mean, one.deviation
    return one.rare_recall or 0.0, one.rare_deviation


def _bars(result: Augmentation, variants: list[Variant], measure: Measure) -> Markup:
    means = [100 * _value(one, measure)[0] for one in variants]
    spreads = [100 * (_value(one, measure)[1] or 0.0) for one in variants]
    # The axis begins below the lowest bar: the differences are small beside 100 %.
    low = max(0.0, min(mean - 2 * half for mean, half in zip(means, spreads, strict=True)) - 1.0)
    what = "test accuracy" if measure == "accuracy" else "recall of the rare classes"
    bars = bar_chart(
        [_short(one.label) for one in variants],
        means,
        unit=" %",
        errors=spreads,
        low=low,
        digits=4,
        title=f"{what} by what the classifier was trained on",
    )
    text = f"{what[0].upper()}{what[1:]}, real test {result.unit}. The axis begins at {low:.1f} %."
    return figure(bars, f"{text} Whisker: one deviation between seeds.")


def _table(result: Augmentation, variants: list[Variant], measure: Measure) -> Markup:
    bases = baselines(result.variants)
    columns = ["trained on", result.unit, "accuracy" if measure == "accuracy" else "rare recall"]
    for base in bases:
        columns += [f"against {result.variants[base].label}: points (95 %)", "verdict"]
    rows = []
    for one in variants:
        cells: list[str | int | None] = [_whole(one.label), one.images, spread(*_value(one, measure))]
        for base in bases:
            cells += interval(against(result, one.name, base, measure))
        rows.append(cells)
    return table(columns, rows)


def ratios(result: Augmentation) -> list[Markup]:
    """Accuracy over synthetic ones per real one, when there were several amounts."""
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for one in result.variants.values():
        if "_ratio_" not in one.name:
            continue
        label = one.label.split(",")[0] + (", filtered" if one.filtered else "")
        xs, ys = curves.setdefault(label, ([], []))
        xs.append(result.synthetic_count / result.real_count if one.ratio is None else one.ratio)
        ys.append(100 * one.mean)
    if not curves:
        return []
    base = result.variants[baselines(result.variants)[-1]]
    chart = line_chart(
        curves,
        x_label=f"synthetic {result.unit} per real {result.unit[:-1]}",
        y_label="test accuracy in %",
        log_x=True,
        reference=(base.label, 100 * base.mean),
    )
    return [figure(chart, f"Accuracy over the amount of synthetic {result.unit}; dashed: {base.label}.")]


def filtering(result: Augmentation) -> list[Markup]:
    """What the filter kept, and what that changed."""
    report = result.filter
    if report is None:
        return []
    rows = []
    for one in result.variants.values():
        if one.filtered:
            plain = result.variants[one.name.removesuffix("_filtered")]
            rows.append(
                [
                    _whole(plain.label),
                    spread(plain.mean, plain.deviation),
                    spread(one.mean, one.deviation),
                    *interval(against(result, one.name, plain.name)),
                ]
            )
    kept = [[name, percent(share, 1)] for name, share in report.per_class.items()]
    return [
        paragraph(report.sentence),
        table(["trained on", "without filter", "with filter", "difference: points (95 %)", "verdict"], rows),
        details("share kept of every class", table(["class", "kept"], kept)),
    ]


def by_class(result: Augmentation) -> Markup:
    """Recall of every class, folded away."""
    variants = result.variants.values()
    rows = [
        [
            name + (" (rare)" if name in result.rare else ""),
            result.class_counts[i],
            *(spread(one.recalls[i], one.recall_deviations[i], 1) for one in variants),
        ]
        for i, name in enumerate(result.class_names)
    ]
    return details(
        "recall of every class",
        table(["class", f"real training {result.unit}", *(one.label for one in variants)], rows),
    )


def confusions(result: Augmentation) -> Markup:
    """A confusion table per variant, folded away: shares of what is tested of each class."""
    if len(result.class_names) > _MOST_CLASSES:
        return paragraph("The confusion of all classes is in augmentation.json.")
    parts = []
    for one in result.variants.values():
        rows = []
        for name, row in zip(result.class_names, one.confusion, strict=True):
            total = int(row.sum())
            rows.append([name, *(f"{100 * int(count) / total:.1f}" if total and count else "" for count in row)])
        parts.append(table(["class \\ read as", *result.class_names], rows, caption=f"{one.label}, % of the class"))
    return details("confusion: what each class was read as", *parts)


def calibration(result: Augmentation) -> Markup:
    """The calibration error of every variant, with its definition."""
    rows = [
        [_whole(one.label), spread(one.calibration_error, one.calibration_deviation), percent(1 - one.mean)]
        for one in result.variants.values()
    ]
    if all(one.calibration_error is None for one in result.variants.values()):
        return paragraph("This classifier's answers are no probabilities: there is no calibration error.")
    return details(
        "calibration", paragraph(ECE_DEFINITION), table(["trained on", "calibration error", "error rate"], rows)
    )


def method(result: Augmentation) -> Section:
    """How it was measured."""
    recipe, design = result.recipe, result.design
    facts = [
        ["real training images", f"{result.real_count:,}"],
        ["synthetic images", f"{result.synthetic_count:,}"],
        ["test images", f"{result.test_count:,}: {result.test}"],
        ["seeds", ", ".join(map(str, result.seeds))],
        ["classifier", design.classifier],
        ["every training", f"{recipe.steps:,} steps of {recipe.batch_size} images, the last weights"],
        ["classical augmentation", design.transforms.sentence],
    ]
    text = (
        "All classifiers are alike but for their training images. real + both is real + synthetic with classical "
        "augmentation of every batch. The interval of a difference counts both the chance of training (seeds) and the "
        "choice of test images; where it holds 0, no difference was shown. It does not count the chance of training "
        "the generator, of which there is one. Deviations (±) are those between seeds."
    )
    return section("How it was measured", table(["", ""], facts), paragraph(text))
