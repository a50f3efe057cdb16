"""Several numbers of real images or series side by side."""

from __future__ import annotations

from collections.abc import Sequence

from synthgen.downstream.page_parts import spread
from synthgen.downstream.result import Augmentation
from synthgen.html import Section, figure, line_chart, section, table


def curve_section(results: Sequence[Augmentation]) -> Section:
    """Test error over the number of real images: a curve for each kind of variant, unfiltered, at its largest ratio."""
    kinds = {one.kind: name for name, one in results[0].variants.items() if not one.filtered}  # at the largest ratio
    names = [name for name in kinds.values() if all(name in one.variants for one in results)]
    sizes = [one.real_count for one in results]
    curves = {
        results[0].variants[name].label: (sizes, [100 * (1 - one.variants[name].mean) for one in results])
        for name in names
    }
    unit = results[0].unit
    x_label = f"real training {unit}"
    chart = line_chart(curves, x_label=x_label, y_label="test error in %", log_x=True, log_y=True, title="test error")
    rows = []
    for one in results:
        second = one.headline_classical
        rows.append(
            [
                one.real_count,
                *(spread(one.variants[name].mean, one.variants[name].deviation) for name in names),
                one.verdict,
                second.difference.verdict if second else None,
                "leak-free" if one.leak.clean else one.leak.status,
            ]
        )
    columns = [f"real {unit}", *(results[0].variants[name].label for name in names)]
    return section(
        f"Over the number of real {unit}",
        figure(chart, f"Share of the test {unit} read wrong, both axes logarithmic: lower is better."),
        table([*columns, "synthetic added", "added to classical", "generator"], rows),
    )
