"""Gates: what is understood, what is refused before any work, what is said of a gate that was not met."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synthgen.data.dataset import ImageData
from synthgen.errors import ExitCode, GateError, UsageError
from synthgen.evaluation.extractors import Extractor
from synthgen.evaluation.gates import SHARES, check_gates, judge, parse_gates
from synthgen.evaluation.images import evaluate_images
from synthgen.evaluation.result import Metric
from tests.evaluation.conftest import blobs

pytestmark = pytest.mark.usefixtures("one_thread")


def _metric(name: str, value: float, floor: float | None = None, *, share: bool = False) -> Metric:
    return Metric(name, name.upper(), value, floor, None, None, "lower", 100, "none", "", share=share)


@pytest.mark.parametrize(
    ("text", "value", "floor", "passed"),
    [
        ("fid>30", 30.0, None, True),
        ("fid>30", 30.1, None, False),
        ("fid>=30", 30.0, None, False),
        ("fid < 30", 30.0, None, True),
        ("fid<=30", 30.0, None, False),
        (" fid > 1e-3 ", 0.002, None, False),
        ("fid>3*floor", 2.9, 1.0, True),
        ("fid>3*floor", 3.1, 1.0, False),
        ("fid > floor * 3", 3.1, 1.0, False),
        ("fid>floor", 1.1, 1.0, False),
        ("fid>-1", -2.0, None, True),
        ("fid<30", float("nan"), None, False),
        ("fid>3*floor", 1.0, float("nan"), False),
        ("fid<3*floor", 1.0, float("nan"), False),
    ],
)
def test_a_gate_fails_when_its_condition_holds(text: str, value: float, floor: float | None, passed: bool) -> None:
    (found,) = judge(parse_gates([text]), {"fid": _metric("fid", value, floor)})
    assert found.passed is passed and found.figure == "fid" and found.gate == text.strip()


def test_a_floor_below_0_by_chance_counts_as_0() -> None:
    better, worse = _metric("kid", -1.5e-5, -1e-5), _metric("kid", 1e-3, -1e-5)
    gates = parse_gates(["kid>2*floor"])
    assert judge(gates, {"kid": better})[0].passed and not judge(gates, {"kid": worse})[0].passed


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("memorised>1", "memorised>1%"),
        ("memorised>5", "memorised>5%"),
        ("recall<50", "recall<50%"),
        ("memorised>100%", None),
    ],
)
def test_a_gate_on_a_share_beyond_1_is_refused_as_it_can_only_hold_or_fail(text: str, hint: str | None) -> None:
    with pytest.raises(UsageError, match="a share between 0 and 1") as caught:
        parse_gates([text])
    assert hint is None or hint in str(caught.value.hint)


def test_gates_know_which_figures_are_shares(real: ImageData, extractor: Extractor) -> None:
    found = evaluate_images(real, blobs(200, seed=9), features=extractor, cache=False).metrics
    assert {name for name, one in found.items() if one.share} == set(SHARES) & set(found)


def test_shares_may_be_in_percent_and_are_said_in_percent() -> None:
    (found,) = judge(parse_gates(["recall<50%"]), {"recall": _metric("recall", 0.425, share=True)})
    assert not found.passed and found.limit == 0.5
    assert found.sentence == "recall<50% fails: RECALL is 42.50 %, 7.50 % below the limit of 50.00 %"


def test_the_sentence_says_by_how_much_and_where_the_limit_is_from() -> None:
    (found,) = judge(parse_gates(["fid>3*floor"]), {"fid": _metric("fid", 5.0, 1.5)})
    assert found.sentence == "fid>3*floor fails: FID is 5, 0.5 above the limit of 4.5 (3 times the floor of 1.5)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fdi>30", "unknown figure 'fdi' \\(did you mean 'fid'"),
        ("fid", "'fid' is no gate"),
        ("fid=30", "'fid=30' is no gate"),
        ("fid==30", "is no gate"),
        ("", "'' is no gate"),
        ("fid>", "is no gate"),
        ("fid>many", "no limit that can be read: 'many'"),
        ("fid>nan", "no limit that can be read"),
        ("fid>inf", "no limit that can be read"),
        ("fid>3*flour", "no limit that can be read"),
        ("fid>1;import os", "no limit that can be read"),
        ("prc>1", "unknown figure 'prc'"),
    ],
)
def test_what_is_no_gate_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_gates([text])


def test_a_gate_on_a_metric_that_is_left_out_is_refused() -> None:
    assert parse_gates(["recall<0.5"], ["prc"])[0].measure == "prc"
    with pytest.raises(UsageError, match="needs the metric kid, which --metrics leaves out"):
        parse_gates(["kid>1"], ["fid", "prc"])


def test_an_evaluation_says_what_became_of_its_gates(real: ImageData, extractor: Extractor) -> None:
    fake = blobs(120, seed=5, noise=200)
    gates = ["fid>0.001", "recall<0", "fid>1e9"]
    found = evaluate_images(real, fake, features=extractor, metrics=["fid", "prc"], gates=gates)
    assert [gate.passed for gate in found.gates] == [False, True, True]
    assert found.to_dict()["gates"][0]["value"] == found.metrics["fid"].value
    with pytest.raises(GateError, match=r"a quality gate was not met: fid>0.001 fails: FID is .* above") as error:
        check_gates([found])
    assert error.value.exit_code == ExitCode.GATE
    check_gates([replace(found, gates=found.gates[1:])])
    with pytest.raises(GateError, match=r"2 quality gates were not met: blobs-5: .*; blobs-5: "):
        check_gates([found, found])


def test_a_gate_that_cannot_be_judged_is_refused_before_the_work(
    real: ImageData, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Extractor, "features_of", None)  # reading an image would fail
    bare = replace(blobs(120, seed=5), labels=None, class_names=(), fingerprint="")
    with pytest.raises(UsageError, match=r"'agreement<0.9' cannot be judged: the fake images have no labels"):
        evaluate_images(real, bare, features=extractor, gates=["agreement<0.9"])
    with pytest.raises(UsageError, match=r"'fid>2\*floor' cannot be judged: the same images have no floor"):
        evaluate_images(real, real, features=extractor, gates=["fid>2*floor"])
