"""What pydantic says, in words for people who do not know that pydantic is there."""

from __future__ import annotations

import re

_REWORDED = [
    (r"Input should be a valid integer, unable to parse string as an integer", "must be a whole number"),
    (r"Input should be a valid number, unable to parse string as a number", "must be a number"),
    (r"Input should be a valid integer, got a number with a fractional part", "must be a whole number"),
    (r"Input should be a valid integer", "must be a whole number"),
    (r"Input should be a valid number", "must be a number"),
    (r"Input should be a finite number", "must be a finite number"),
    (r"Input should be a valid boolean.*", "must be true or false"),
    (r"Input should be a valid string", "must be text"),
    (r"Input should be a valid (?:tuple|list)", "must be a list, like [a, b]"),
    (r"Input should be a valid dictionary or instance of \w+", "must be a group of settings"),
    (r"Input should be greater than or equal to (\S+)", r"must be at least \1"),
    (r"Input should be less than or equal to (\S+)", r"must be at most \1"),
    (r"Input should be greater than (\S+)", r"must be greater than \1"),
    (r"Input should be less than (\S+)", r"must be less than \1"),
    (r"String should have at least 1 character", "must not be empty"),
    (
        r"(?:Tuple|List) should have at least (\d+) items? after validation, not \d+",
        r"must have at least \1 entries",
    ),
    (
        r"(?:Tuple|List) should have at most (\d+) items? after validation, not \d+",
        r"must have at most \1 entries",
    ),
    (r"Input should be (.+)", r"must be \1"),
    (r"Field required", "is missing"),
    (r"(?:Value|Assertion) error, (.+)", r"\1"),
]


def reword(message: str) -> str:
    """One sentence without jargon: `Input should be greater than 0` becomes `must be greater than 0`."""
    for pattern, words in _REWORDED:
        match = re.fullmatch(pattern, message, re.DOTALL)
        if match:
            return match.expand(words).replace(" 1 entries", " one entry")
    return message
