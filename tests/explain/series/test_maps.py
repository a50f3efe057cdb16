"""Evidence, shares and their audit, on a law that is known: what must be found is found, what must fail fails."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthgen.errors import StoppedError, SynthgenError
from synthgen.explain import audit
from synthgen.explain.audit import failed_check, verdict
from synthgen.explain.series.audit import learned
from synthgen.explain.series.cells import Layout, Scene
from synthgen.explain.series.deletion import Deleter
from synthgen.explain.series.evidence import class_evidence, nearest_rivals, reference, surprise
from synthgen.explain.series.maps import checked_sum
from synthgen.explain.series.probe import Probe, levels, nats
from synthgen.explain.series.segments import cut
from synthgen.explain.series.sharing import over_cells, share_out
from tests.explain.series.exact import (
    CHANNELS,
    LAYOUT,
    LOUD,
    PARTS,
    SHIFT,
    SPREAD,
    STEPS,
    ExactDenoiser,
    Part,
    inside,
    log_ratio,
    means,
    scene,
)

pytestmark = pytest.mark.usefixtures("one_thread")
SEGMENTS = cut(STEPS, ("a", "b"))


@pytest.fixture(scope="module")
def probe() -> Probe:
    return Probe(ExactDenoiser(), LAYOUT)


@pytest.fixture(scope="module")
def six() -> Scene:
    return scene(6)


@pytest.fixture(scope="module")
def deleter(probe: Probe, six: Scene) -> Deleter:
    return Deleter(probe, six, lambda after, rows: truth(six, after, rows), SEGMENTS)


def truth(before: Scene, after: Scene, rows: np.ndarray) -> np.ndarray:
    """The exact log-ratio of the class that each window had."""
    assert before.labels is not None
    return log_ratio(after.named(LAYOUT, before.labels[rows]).select(np.arange(len(rows)))).sum((1, 2))


def checks(probe: Probe, one: Scene, deleter: Deleter, values: np.ndarray) -> list[audit.Check]:
    return [learned(probe, one, "windows"), *audit.deletion(deleter(values), "nats", classes=True)]


def test_evidence_is_the_log_ratio_of_the_two_laws(probe: Probe, six: Scene) -> None:
    """Independent cells: E of a cell is log p(cell | class) - log p(cell | rival), known in closed form."""
    rivals = nearest_rivals(probe, six, 2)
    assert six.labels is not None and rivals.tolist() == (1 - six.labels).tolist()
    found = class_evidence(probe, six, rivals, ("up", "down"), draws=32)
    exact = log_ratio(six)
    assert np.abs(found.totals / exact.sum((1, 2)) - 1).max() < 0.1
    assert np.corrcoef(found.values.ravel(), exact.ravel())[0, 1] > 0.97
    assert found.details["sum_gap"] < 1e-8 and found.names[0] == ("up", "down")
    np.testing.assert_allclose(found.details["by_noise_level"].sum(0), found.totals, rtol=1e-9)


def test_evidence_against_no_class_is_against_the_mixture(probe: Probe, six: Scene) -> None:
    """Of two classes alike likely, told none: log p(x | y) - log(p(x | y) / 2 + p(x | r) / 2)."""
    found = class_evidence(probe, six, np.full(6, -1), ("up", "down"), draws=64)
    exact = -np.log(0.5 + 0.5 * np.exp(-log_ratio(six).sum((1, 2))))
    np.testing.assert_allclose(found.totals, exact, atol=0.25)  # log 2 for a window that is plainly of its class
    assert found.names[0] == ("up", "no class")


def test_evidence_lies_where_the_class_is(probe: Probe, six: Scene) -> None:
    values = class_evidence(probe, six, 1 - np.asarray(six.labels), ("up", "down")).values
    positive = np.maximum(values, 0)
    assert positive[:, inside()].sum() > 0.95 * positive.sum()


def test_surprise_is_the_log_likelihood_below_the_usual(probe: Probe) -> None:
    """Of told classes, -log p of a cell is its squared distance from the mean, halved, in units of the spread."""
    usual = reference(probe, scene(128, 5), "128 held-out windows", draws=16)
    odd = scene(4, 6)
    odd.x0[2, 3, 1] += 4.0  # more than six deviations away
    found = surprise(probe, odd, usual, draws=16)
    assert "128 held-out windows" in found.question
    cells = found.values
    assert np.unravel_index(cells.argmax(), cells.shape) == (2, 3, 1)
    distance = (odd.x0[..., :CHANNELS] - means()[np.asarray(odd.labels)]) ** 2 / (2 * SPREAD**2) - 0.5
    assert np.corrcoef(cells.ravel(), distance.ravel())[0, 1] > 0.9
    assert cells[2, 3, 1] == pytest.approx(distance[2, 3, 1], rel=0.25)
    np.testing.assert_allclose(found.totals, distance.sum((1, 2)), atol=1.0)
    assert found.details["as_surprising"][2] < 0.05 and usual.totals.mean() == pytest.approx(0.0, abs=1e-9)


def test_a_sum_that_misses_its_total_is_refused() -> None:
    values = np.ones((2, 3, 1))
    assert checked_sum(values, np.array([3.0, 3.0])) == 0
    with pytest.raises(SynthgenError, match="miss its total"):
        checked_sum(values, np.array([3.0, 3.01]))


def test_levels_and_nats_measure_a_gaussian() -> None:
    """-log p of N(0, 1) at x is x^2 / 2 and a constant: the sum of errors over noise levels must say so."""
    sigma = levels(200)
    error = (1 + sigma**2 * 4.0) / (1 + sigma**2) ** 2 - 1 / (
        1 + sigma**2
    ) ** 2  # E|eps - eps_hat|^2 at x = 2, less at 0
    assert error.sum() * nats(200) == pytest.approx(2.0, rel=0.01)


def test_the_audit_believes_evidence_and_nothing_that_knows_nothing(probe: Probe, six: Scene, deleter: Deleter) -> None:
    evidence = class_evidence(probe, six, 1 - np.asarray(six.labels), ("up", "down")).values
    assert verdict(checks(probe, six, deleter, evidence)) == "Believe it: every check was passed."
    noise = np.random.default_rng(1).normal(size=evidence.shape)
    assert verdict(checks(probe, six, deleter, noise)).startswith("No better than random")
    loud = checks(probe, six, deleter, deleter.plain["amplitude"])
    assert verdict(loud).startswith("No better than amplitude: the cells with the largest values")
    assert not failed_check(next(check for check in loud if check.name == "deletion"))
    steep = verdict(checks(probe, six, deleter, deleter.plain["slope"]))
    assert steep.startswith("No better than") and "slope" in steep.split(":")[0]


def test_random_choices_hide_as_many_cells_in_runs_as_long(deleter: Deleter) -> None:
    masks = deleter.masks(np.random.default_rng(2).normal(size=(6, STEPS, CHANNELS)))
    moved = deleter._moved(masks, np.random.default_rng(3))
    assert (moved.sum((2, 3)) == masks.sum((2, 3))).all() and not (moved == masks).all()
    runs = [
        np.abs(np.diff(one.astype(int), axis=2, append=one[:, :, :1].astype(int))).sum((2, 3)) for one in (masks, moved)
    ]
    assert (runs[0] == runs[1]).all()  # on the circle, where the moved ones go round


def test_a_model_with_shuffled_weights_is_not_believed(six: Scene) -> None:
    broken = ExactDenoiser()
    with torch.no_grad():
        broken.centre.copy_(10 * torch.randn(broken.centre.shape, generator=torch.Generator().manual_seed(0)))
    one = learned(Probe(broken, LAYOUT), six, "windows")
    assert failed_check(one) and one.value < 0
    assert verdict([one]).startswith("Do not believe it: the model knows nothing of such series")
    assert not failed_check(learned(Probe(ExactDenoiser(), LAYOUT), six, "windows"))


def test_weights_and_stability_say_what_they_see() -> None:
    random = np.random.default_rng(0)
    values, valid = random.normal(size=(3, STEPS, 2)), np.ones((3, STEPS), bool)
    assert failed_check(audit.weights(values, [values, values], valid))
    assert not failed_check(audit.weights(values, [random.normal(size=values.shape)] * 2, valid))
    assert audit.stability(np.stack([values, values]), valid).sentence.startswith("stable")
    assert failed_check(audit.stability(np.stack([values, random.normal(size=values.shape)]), valid))
    valid[:, 4:] = False  # what does not exist does not count
    half = np.where(valid[..., None], values, random.normal(size=values.shape))
    assert audit.stability(np.stack([values, half]), valid).value == pytest.approx(1.0)


def test_shares_add_up_and_lie_where_the_class_is(probe: Probe, six: Scene) -> None:
    found = share_out(probe, six, SEGMENTS, lambda after, rows: truth(six, after, rows)[:, None].repeat(2, 1))
    assert found.gap < 1e-9
    np.testing.assert_allclose(found.values[0].sum(1), found.full[0] - found.empty[0])
    np.testing.assert_allclose(found.values[0], found.values[1])  # two opinions that agree
    cells = over_cells(found.values[0], six, SEGMENTS, CHANNELS, CHANNELS)
    np.testing.assert_allclose(SEGMENTS.sums(cells), found.values[0])
    assert np.abs(cells[:, inside()]).sum() > 0.9 * np.abs(cells).sum()


def test_hidden_cells_are_drawn_by_the_law_and_all_others_stay(probe: Probe) -> None:
    many = scene(200, 4)
    hidden = np.zeros((200, STEPS, CHANNELS), bool)
    hidden[:, :4, 0] = True  # the loud cells, alike in both classes
    anew = probe.regenerated(many, hidden, np.zeros(200, int))
    cells = anew.x0[..., :CHANNELS]
    np.testing.assert_array_equal(cells[~hidden], many.x0[..., :CHANNELS][~hidden])
    assert cells[hidden].mean() == pytest.approx(LOUD, abs=0.1) and cells[hidden].std() == pytest.approx(
        SPREAD, rel=0.15
    )
    class_cells = np.broadcast_to(inside(), hidden.shape)
    anew = probe.regenerated(many, class_cells, np.zeros(200, int)).x0[..., :CHANNELS]
    means_of = np.sign(anew[:, inside()].mean(1))
    assert 0.35 < (means_of > 0).mean() < 0.65  # told no class, either comes
    assert np.abs(np.abs(anew[:, inside()].mean(1)) - SHIFT).max() < 1.5
    np.testing.assert_array_equal(probe.regenerated(many, class_cells, np.zeros(200, int)).x0[..., :2], anew)


def test_layout_divides_a_missing_bit_among_those_who_share_it() -> None:
    parts = (Part("a", "channel", 0, 1, 4), Part("b", "channel", 1, 3, 4), Part("place", "static", 3, 4), PARTS[2])
    parts = (*parts[:3], Part("kind", "label", 5, 7))
    layout = Layout.of(parts)  # type: ignore[arg-type]
    assert layout.names == ("a", "b", "place") and layout.channels == 2 and layout.dimensions == 7
    values = np.random.default_rng(0).normal(size=(2, 3, 7))
    np.testing.assert_allclose(layout.gathered(values).sum(-1), values[..., :5].sum(-1))
    hidden = np.zeros((1, 3, 2), bool)
    hidden[0, 0, 0], hidden[0, 1] = True, True
    spread = layout.spread(hidden)
    assert spread[0, 0].tolist() == [True, False, False, False, False, False, False]  # b still says what is missing
    assert spread[0, 1].tolist() == [True, True, True, False, True, False, False]
    assert not spread[0, 2].any() and layout.generated.tolist() == [True] * 5 + [False] * 2


def test_pieces_cover_every_cell_once() -> None:
    for steps, channels in ((24, 1), (24, 6), (5, 2), (2, 3), (100, 200), (1, 1)):
        one = cut(steps, [str(number) for number in range(channels)])
        assert len(one) <= 128
        cover = one.cells(np.eye(len(one), dtype=bool), channels)
        assert (cover.sum(0) == 1).all()
        values = np.random.default_rng(0).normal(size=(2, steps, channels))
        np.testing.assert_allclose(one.sums(values).sum(1), values.sum((1, 2)))
    assert cut(24, ("pressure", "flow")).name(3) == "flow, steps 3 to 4"


def test_a_signal_stops_between_blocks(six: Scene) -> None:
    with pytest.raises(StoppedError):
        class_evidence(Probe(ExactDenoiser(), LAYOUT, should_stop=lambda: True), six, np.zeros(6, int), ("up", "down"))
