"""Channels as pictures: windows over one another, values, autocorrelations, spectra; map of features; neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from synthgen.evaluation.series.measure import SeriesParts, percent
from synthgen.evaluation.series.page_panels import legend, scatter, traces
from synthgen.evaluation.series.result import SeriesEvaluation
from synthgen.evaluation.series.scores import features_of
from synthgen.html import Markup, Section, details, figure, line_chart, paragraph, section, table
from synthgen.html.panels import heat_map, histogram
from synthgen.html.panels import legend as bars_legend

NAMES = ("real", "synthetic")
DRAWN = 6
"""Channels that are drawn, the worst ones; all others are in the tables."""

_TRACES = 10
_POINTS = 400
_BINS = 30
_MAP = 30


def ranked_channels(result: SeriesEvaluation, parts: SeriesParts) -> list[int]:
    """Positions of the numeric channels, those that differ most in values, spectrum and autocorrelation first."""
    numbers = parts.space.numbers
    score = np.zeros(len(numbers))
    rows = {row["name"]: row for row in result.details.get("marginals", {}).get("channels", [])}
    columns = [[rows.get(parts.space.channels[p], {}).get("ks", 0.0) for p in numbers]]
    if "spectrum" in result.details:
        columns.append(result.details["spectrum"]["apart"])
    if "autocorrelation" in result.details:
        found = result.details["autocorrelation"]
        columns.append(np.abs(np.array(found["real"]) - np.array(found["fake"])).mean(1).tolist())
    for column in columns:  # ranks, so that no unit outweighs another
        score += np.argsort(np.argsort(np.array(column)))
    return [numbers[place] for place in np.argsort(-score, kind="stable")]


def windows_section(result: SeriesEvaluation, parts: SeriesParts, order: list[int]) -> Section:
    """Real and synthetic windows of the channels that differ most."""
    random = np.random.default_rng([result.seeds[0], 18])
    real, fake = (one.values[random.permutation(len(one))[:_TRACES]] for one in (parts.reference, parts.fake))
    chosen = order[:DRAWN] or list(range(min(DRAWN, len(result.channels))))
    pieces = [
        figure(traces(real[:, :, p], fake[:, :, p], described=f"windows of {result.channels[p]}"), result.channels[p])
        for p in chosen
    ]
    text = f"{min(_TRACES, len(real))} real and as many synthetic windows, drawn at random. {_chosen(result, chosen)}"
    return section("Windows", paragraph(text), legend(NAMES), _grid(pieces))


def _chosen(result: SeriesEvaluation, chosen: list[int]) -> str:
    count = len(result.channels)
    if count <= len(chosen):
        return "All channels, those that differ most first."
    return f"Of {count} channels the {len(chosen)} that differ most in values, spectrum and autocorrelation."


def _grid(pieces: list[Markup], kind: str = "panels") -> Markup:
    return Markup(f'<div class="{kind}">{"".join(pieces)}</div>')


def map_section(result: SeriesEvaluation, parts: SeriesParts) -> Section | None:
    """Windows as points: their features, in two dimensions."""
    if "context_fid" not in result.details:
        return None
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    seed = result.seeds[0]
    random = np.random.default_rng([seed, 19])
    sides = [features_of(parts, one, seed) for one in (parts.reference, parts.fake)]
    sides = [side[random.permutation(len(side))[:_POINTS]] for side in sides]
    both = np.concatenate(sides).astype(np.float64)
    both /= np.maximum(both.std(0), 1e-9)
    plane = PCA(2, random_state=seed % 2**32).fit(both[: len(sides[0])]).transform(both)
    pieces = [figure(_points(plane, len(sides[0]), "PCA of features"), "PCA, fitted on the real windows")]
    if len(both) >= 20:
        spread = TSNE(2, init="pca", perplexity=min(30.0, len(both) / 4), random_state=seed % 2**32)
        pieces.append(figure(_points(spread.fit_transform(both), len(sides[0]), "t-SNE of features"), "t-SNE"))
    text = (
        f"{len(sides[0])} real and {len(sides[1])} synthetic windows in the features of the encoder with seed {seed}. "
        "Where colour stands alone the generator invents, where grey stands alone it leaves out."
    )
    return section("Map", paragraph(text), legend(NAMES), _grid(pieces))


def _points(values: np.ndarray, border: int, described: str) -> Markup:
    return scatter(values[:border], values[border:], described=described)


def dynamics_section(result: SeriesEvaluation, parts: SeriesParts, order: list[int]) -> Section | None:
    """Autocorrelation and spectrum of the channels that differ most."""
    chosen = order[:DRAWN]
    curves, spectra = result.details.get("autocorrelation"), result.details.get("spectrum")
    if not chosen or (curves is None and spectra is None):
        return None
    at = {place: index for index, place in enumerate(parts.space.numbers)}
    pieces = []
    for place in chosen:
        name, index = parts.space.channels[place], at[place]
        if curves is not None:
            lags = list(range(len(curves["real"][index])))
            lines = {NAMES[0]: (lags, curves["real"][index]), NAMES[1]: (lags, curves["fake"][index])}
            chart = line_chart(lines, x_label="lag, steps", y_label="", title=f"autocorrelation of {name}")
            pieces.append(figure(chart, f"{name}: autocorrelation"))
        if spectra is not None:
            lines = {
                NAMES[0]: (spectra["frequencies"], spectra["real"][index]),
                NAMES[1]: (spectra["frequencies"], spectra["fake"][index]),
            }
            chart = line_chart(
                lines, x_label="frequency, per step", y_label="", log_y=True, title=f"spectrum of {name}"
            )
            pieces.append(figure(chart, f"{name}: share of power, {spectra['apart'][index]:.2g} dB apart"))
    return section("Dynamics", paragraph(_chosen(result, chosen)), _grid(pieces, "charts"))


def values_section(result: SeriesEvaluation, parts: SeriesParts, order: list[int]) -> Section | None:
    """How values are distributed, channel by channel; moments and gaps of all in a table."""
    rows = result.details.get("marginals", {}).get("channels")
    if not rows:
        return None
    chosen = order[:DRAWN]
    pieces = []
    for place in chosen:
        row = rows[place]
        sides = [one.values[:, :, place].ravel() for one in (parts.reference, parts.fake)]
        caption = f"{row['name']}: Kolmogorov-Smirnov distance {percent(row['ks'])}"
        pieces.append(figure(_histogram(row["name"], *(side[~np.isnan(side)] for side in sides)), caption))
    heads = ["channel", "KS", "mean, real", "synthetic", "deviation, real", "synthetic", "skewness, real", "synthetic",
             "kurtosis, real", "synthetic"]  # fmt: skip
    moments = [
        [
            row["name"],
            percent(row["ks"]),
            *(
                _number(row[side][key])
                for key in ("mean", "deviation", "skewness", "kurtosis")
                for side in ("real", "fake")
            ),
        ]
        for row in rows
        if "ks" in row
    ]
    found = [paragraph(_chosen(result, chosen)), bars_legend(NAMES), _grid(pieces)]
    found.append(details("the numbers of all channels", table(heads, moments)))
    gaps = [
        [row["name"], *(_share(one) for one in row["missing"]), *(_share(one) for one in row["persistence"])]
        for row in rows
        if any(row["missing"])
    ]
    if gaps:
        heads = ["channel", "missing, real", "synthetic", "missing again, real", "synthetic"]
        caption = "missing values, and how often one follows a missing one"
        found.append(table(heads, gaps[:60], caption=caption))
    return section("Values", *found)


def _histogram(name: str, real: np.ndarray, fake: np.ndarray) -> Markup:
    """Over the middle 98 % of the real values; what lies outside is counted at the ends."""
    if not len(real) or not len(fake):
        return Markup("<p>no values</p>")
    low, high = np.quantile(real, [0.01, 0.99]).tolist()
    if high <= low:
        low, high = float(real.min()), float(real.max())
    edges = np.linspace(low, high if high > low else low + 1.0, min(_BINS, max(2, len(np.unique(real)))) + 1)
    shares = [
        (np.histogram(np.clip(side, edges[0], edges[-1]), edges)[0] / len(side)).tolist() for side in (real, fake)
    ]
    return histogram(
        shares[0], shares[1], low=f"{low:,.4g}", high=f"{high:,.4g}", names=NAMES, described=f"distribution of {name}"
    )


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:,.4g}"


def _share(value: float | None) -> str | None:
    return None if value is None else percent(value)


def pairs_section(result: SeriesEvaluation) -> Section | None:
    """Which channels hang together otherwise than in the real series."""
    found = result.details.get("cross_correlation")
    if not found or not found["pairs"]:
        return None
    here, names = found["at_once"], found["at_once"]["channels"]
    apart = np.abs(np.array(here["real"]) - np.array(here["fake"]))
    keep = np.sort(np.argsort(-apart.sum(0), kind="stable")[:_MAP])
    values = {(names[i], names[j]): float(apart[i, j]) for i in keep for j in keep if j < i}
    shown = [names[place] for place in keep]
    top = max([*values.values(), 1e-9])
    parts = []
    if len(shown) > 1:
        picture = heat_map(shown, values, top=top, unit="", described="difference of correlations of channels")
        some = "" if len(shown) == len(names) else f"; the {len(shown)} of {len(names)} channels that differ most"
        parts.append(figure(picture, f"difference of correlations at once{some}; full colour: {top:.2g}", wide=True))
    rows: list[list[Any]] = [
        [*row["channels"], row["lag"], f"{row['real']:.3f}", f"{row['fake']:.3f}"] for row in found["pairs"]
    ]
    heads = ["channel", "channel", "steps later", "real", "synthetic"]
    return section("Channels together", *parts, table(heads, rows, caption="the correlations that differ most"))


def neighbours_section(result: SeriesEvaluation) -> Section | None:
    """The synthetic windows that lie nearest to a training window, with it."""
    found = result.details.get("copies")
    if not found or not found["pairs"]:
        return None
    pieces = []
    for row in found["pairs"]:
        real, fake = (np.array([[np.nan if v is None else v for v in row[side]]]) for side in ("real", "fake"))
        picture = traces(real, fake, described="a synthetic window and its nearest training window", strong=0.9)
        place = f"sequence {row['sequence'] + 1}, from step {row['start'] + 1}"
        pieces.append(figure(picture, f"{row['channel']}; training window: {place}; distance {row['distance']:.3g}"))
    parts = [legend(("training window", "synthetic window")), _grid(pieces)]
    if "distances" in found:
        shares = np.linspace(0, 1, len(found["distances"]["fake"])).tolist()
        lines = {
            "real windows to the other half": (found["distances"]["real"], shares),
            "synthetic windows to training windows": (found["distances"]["fake"], shares),
        }
        chart = line_chart(lines, x_label="distance to the nearest", y_label="share of windows", title="distances")
        caption = f"How near windows come; near copies lie below {found['threshold']:.3g} (deviations of a channel)."
        parts.append(figure(chart, caption))
    text = (
        "The nearest pairs, in the channel that moves most. Distances are root mean squares over all cells, in units "
        "of the channels' deviations. Synthetic windows should not come nearer to training windows than real windows "
        "of one part come to those of the other, nor stay much further away."
    )
    return section("Nearest pairs", paragraph(text), *parts)
