"""Which methods can be had is asked before any of them works."""

from __future__ import annotations

import pytest

from synthgen.errors import UsageError
from synthgen.explain.methods import check_names, possible

WHY = {"evidence": None, "attention": "the network has no attention layers", "shap": None}


def test_a_method_that_was_asked_for_and_cannot_be_had_is_an_error() -> None:
    notes: list[str] = []
    with pytest.raises(UsageError, match="attention: the network has no attention layers"):
        possible(list(WHY), WHY.get, notes, asked=True)
    assert notes == []


def test_of_all_methods_those_are_left_out_that_cannot_be_had() -> None:
    notes: list[str] = []
    assert possible(list(WHY), WHY.get, notes, asked=False) == ["evidence", "shap"]
    assert notes == ["attention was left out: the network has no attention layers"]


def test_names_are_those_of_the_data() -> None:
    check_names(["shap"], tuple(WHY), "images")
    with pytest.raises(UsageError, match="unknown method 'atention'") as caught:
        check_names(["atention"], tuple(WHY), "images")
    assert caught.value.hint == "methods for images: evidence, attention, shap"
    with pytest.raises(UsageError, match="no method was given"):
        check_names([], tuple(WHY), "images")
