"""The rules of the sampler card: which settings are on the front, which one a quality means, what a header may say."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from synthgen.config.schema import SamplingConfig
from synthgen.errors import SynthgenError, UsageError
from synthgen.evaluation.sampler_card import Card, Setting, choose, front, needed_card, parse_card
from synthgen.evaluation.sampler_card_settings import candidates, expected_calls
from synthgen.evaluation.sampler_card_sweep import survivors
from synthgen.evaluation.sampler_card_text import about_card, about_choice, card_document, figures


def setting(calls: int, fid: float, deviation: float | None = None, **sampling: Any) -> Setting:
    own = SamplingConfig(sampler="dpm++2m", **{"steps": calls, **sampling})
    return Setting(sampling=own, calls=calls, count=1000, repeats=4, fid=fid, deviation=deviation)


def card(*settings: Setting, **facts: Any) -> Card:
    known = {
        "count": 1000,
        "repeats": 4,
        "seed": 0,
        "data": "mnist",
        "against": "held-out",
        "reference_count": 3000,
        "features": "domain-mnist",
        "floor": 0.2,
        "milliseconds": 1.5,
        "device": "cpu",
        "processor": "x86_64",
        "precision": "bfloat16",
        "seconds": 60.0,
        "synthgen": "0.1",
    }
    return Card(settings=settings, **{**known, **facts})


measured = st.lists(
    st.builds(
        setting,
        st.integers(1, 60),
        st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 3)),
        st.none() | st.floats(0, 5, allow_nan=False),
    ),
    min_size=1,
    max_size=8,
)


@effort(max_examples=40)
@given(measured)
def test_the_front_is_what_nothing_beats(settings: list[Setting]) -> None:
    found = front(settings)
    for one in settings:
        beaten = any(
            other.calls <= one.calls and other.fid <= one.fid and (other.calls, other.fid) != (one.calls, one.fid)
            for other in settings
        )
        here = any((other.calls, other.fid) == (one.calls, one.fid) for other in found)
        assert here != beaten
    assert list(found) == sorted(found, key=lambda one: one.calls)
    assert [one.fid for one in found] == sorted((one.fid for one in found), reverse=True)


@effort(max_examples=40)
@given(measured)
def test_choices_are_on_the_front_and_cost_more_the_better_they_are(settings: list[Setting]) -> None:
    fast, balanced, best = (choose(settings, quality) for quality in ("fast", "balanced", "best"))
    points = {(one.calls, one.fid) for one in front(settings)}
    assert {(one.calls, one.fid) for one in (fast, balanced, best)} <= points
    assert fast.calls <= balanced.calls <= best.calls
    assert fast.fid >= balanced.fid >= best.fid


@effort(max_examples=40)
@given(measured, st.randoms())
def test_the_order_of_settings_changes_nothing(settings: list[Setting], random: Any) -> None:
    other = random.sample(settings, len(settings))
    for quality in ("fast", "balanced", "best"):
        first, second = choose(settings, quality), choose(other, quality)
        assert (first.calls, first.fid) == (second.calls, second.fid)


def test_more_steps_are_not_better_by_themselves() -> None:
    """FID rises again after 12 calls here: best is where it is lowest, and not where the most steps are."""
    settings = [setting(5, 3.0), setting(8, 1.0), setting(12, 0.8), setting(24, 1.1), setting(60, 1.4)]
    assert [choose(settings, quality).calls for quality in ("fast", "balanced", "best")] == [8, 8, 12]
    assert [one.calls for one in front(settings)] == [5, 8, 12]


def test_best_is_the_cheapest_that_cannot_be_told_from_the_lowest() -> None:
    """With 4 repeats an error is half a deviation: 1.0 +- 0.1 and 1.15 +- 0.1 overlap, 1.0 +- 0.05 and 1.15 do not."""
    wide = [setting(6, 2.6, 0.2), setting(8, 1.15, 0.2), setting(20, 1.0, 0.2)]
    narrow = [setting(6, 2.6, 0.1), setting(8, 1.15, 0.1), setting(20, 1.0, 0.1)]
    assert choose(wide, "best").calls == 8
    assert choose(narrow, "best").calls == 20
    assert choose(narrow, "balanced").calls == 8, "1.15 is within 1.25 times the lowest"
    assert choose(narrow, "fast").calls == 8, "2.6 is not within 2 times the lowest"


def test_unknown_qualities_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown quality 'good'"):
        choose([setting(5, 1.0)], "good")


@effort(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 60), st.floats(0.001, 100)), min_size=1, max_size=8))
def test_what_is_given_up_early_could_not_be_chosen(points: list[tuple[int, float]]) -> None:
    calls, fids = [one[0] for one in points], [one[1] for one in points]
    kept = survivors(calls, fids)
    assert fids.index(min(fids)) in kept or any(fids[place] == min(fids) for place in kept)
    settings = [setting(*one) for one in points]
    chosen = {(choose(settings, quality).calls, choose(settings, quality).fid) for quality in ("fast", "best")}
    assert chosen <= {points[place] for place in kept}


def test_a_card_comes_back_from_its_header() -> None:
    made = card(setting(5, 2.0, 0.1), setting(8, 1.0, 0.1, noise_levels=tuple(80.0 / 2**i for i in range(8))))
    header = {"sampler_card": made.model_dump(mode="json")}
    assert parse_card(header, "here") == made
    assert parse_card({"sampler_card": None}, "here") is None
    assert parse_card({}, "here") is None
    with pytest.raises(UsageError, match="no sampler card"):
        needed_card({}, "here")
    assert card_document(made)["choices"] == {"fast": 0, "balanced": 1, "best": 1}
    assert "at learned levels" in about_choice(made, "best")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((), [1, 2]),
        ((), "card"),
        (("settings",), []),
        (("settings", 0, "fid"), -1.0),
        (("settings", 0, "fid"), math.nan),
        (("settings", 0, "fid"), 1e300),
        (("settings", 0, "calls"), 10**30),
        (("settings", 0, "sampling", "sampler"), "../../etc/passwd"),
        (("settings", 0, "sampling", "steps"), 10**9),
        (("settings", 0, "sampling", "noise_levels"), [1.0] * 8),
        (("settings", 0, "repeats"), 3),
        (("data",), "x" * 10_000),
        (("against",), "test"),
        (("version",), 2),
        (("count",), 5),
    ],
)
def test_damaged_and_hostile_cards_are_named(place: tuple[Any, ...], value: Any) -> None:
    document: Any = {"sampler_card": card(setting(8, 1.0)).model_dump(mode="json")}
    holder, key = document, "sampler_card"
    for step in place:
        holder, key = holder[key], step
    holder[key] = value
    with pytest.raises(SynthgenError, match="the sampler card of here"):
        parse_card(document, "here")


def test_a_card_of_training_images_says_so() -> None:
    assert "training never saw" in about_card(card(setting(8, 1.0)))[0]
    assert "this model held none out" in about_card(card(setting(8, 1.0), against="training"))[0]


def test_the_card_says_whether_guidance_helps() -> None:
    plain, worse = setting(8, 1.0, 0.1), setting(16, 1.5, 0.1, steps=8, guidance_scale=2.0)
    better = setting(16, 0.5, 0.1, steps=8, guidance_scale=1.5)
    assert "does not lower" in about_card(card(plain, worse))[-1]
    assert "guidance helps: dpm++2m, 8 steps, guidance 1.5" in about_card(card(plain, worse, better))[-1]
    assert not any("guidance" in text for text in about_card(card(plain)))  # nothing to guide towards
    of_class = plain.model_copy(update={"agreement": 0.9})
    assert "guidance was not tried: `synthgen runs card RUN --guidance 1,1.5`" in about_card(card(of_class))[-1]
    fast = SamplingConfig(sampler="consistency", steps=2)
    assert not any("guidance" in text for text in about_card(card(of_class.model_copy(update={"sampling": fast}))))


def test_candidates_hold_the_models_own_setting_once() -> None:
    own = SamplingConfig(steps=10)
    found = candidates(own)
    assert found[0] == own
    assert len(set(found)) == len(found) == len({(one.sampler, one.steps) for one in found})
    asked = candidates(own, samplers=("heun",), steps=(3, 5), guidance=(1.0, 2.0))
    assert [(one.sampler, one.steps, one.guidance_scale) for one in asked] == [
        ("heun", 3, 1.0),
        ("heun", 5, 1.0),
        ("heun", 3, 2.0),
        ("heun", 5, 2.0),
    ]
    assert {one.sampler for one in candidates(SamplingConfig(sampler="consistency", steps=2))} == {"consistency"}
    assert expected_calls(own, 2000) == pytest.approx(2 * expected_calls(own, 1000))
    for wrong in ({"samplers": ("huen",)}, {"steps": (0,)}, {"guidance": (math.nan,)}):
        with pytest.raises(UsageError):
            candidates(own, **wrong)


def test_values_have_as_many_digits_as_their_errors() -> None:
    found = card(setting(5, 2.0, 0.42), setting(8, 0.8519, 0.018), setting(9, 1234.5, 2400.0), setting(10, 0.5))
    assert [figures(one, found)[0] for one in found.settings] == [
        "2.00 ± 0.21",
        "0.8519 ± 0.0090",
        "1,234 ± 1,200",
        "0.5",
    ]
