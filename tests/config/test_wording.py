"""No jargon of pydantic reaches the user, whichever rule was broken."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from synthgen.config.wording import reword


@pytest.mark.parametrize(
    ("rule", "value", "words"),
    [
        (int, "x", "must be a whole number"),
        (int, 1.5, "must be a whole number"),
        (int, [], "must be a whole number"),
        (float, "x", "must be a number"),
        (bool, "x", "must be true or false"),
        (bool, 3.5, "must be true or false"),
        (str, 1, "must be text"),
        (Annotated[int, Field(ge=1)], 0, "must be at least 1"),
        (Annotated[int, Field(le=9)], 10, "must be at most 9"),
        (Annotated[float, Field(gt=0)], 0, "must be greater than 0"),
        (Annotated[float, Field(lt=1)], 1, "must be less than 1"),
        (Annotated[str, Field(min_length=1)], "", "must not be empty"),
        (tuple[int, ...], 3, "must be a list, like [a, b]"),
        (Annotated[tuple[int, ...], Field(max_length=1)], [1, 2], "must have at most one entry"),
        (tuple[int, int], [1], "is missing"),
        (Literal["a", "b"], "c", "must be 'a' or 'b'"),
        (Annotated[float, Field(allow_inf_nan=False)], float("inf"), "must be a finite number"),
    ],
)
def test_reworded(rule: object, value: object, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(rule).validate_python(value)
    assert reword(caught.value.errors()[0]["msg"]) == words


def test_own_words_pass() -> None:
    assert reword("Value error, 'x' is not a duration") == "'x' is not a duration"
    assert reword("something new") == "something new"
