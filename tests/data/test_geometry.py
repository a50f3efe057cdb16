from __future__ import annotations

import numpy as np
import pytest

from synthgen.data.geometry import Survey, plan_geometry
from synthgen.errors import UsageError


def survey(*sizes: tuple[int, int], grey: bool = False) -> Survey:
    return Survey(np.array(sizes, np.int32), grey)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(28, 28)] * 3, (28, 28)),
        ([(48, 64)] * 2, (48, 64)),
        ([(64, 64)], (64, 64)),
        ([(4, 5)], (4, 5)),
        ([(64, 65)], (64, 64)),  # one size, but too large: square of the short side
        ([(218, 178)] * 2, (64, 64)),
        ([(30, 40), (50, 31), (33, 99)], (24, 24)),  # short sides 30, 31, 33: median 31, down to 24
        ([(63, 63), (64, 64)], (56, 56)),
        ([(3, 100)], (8, 8)),
        ([(2, 2)], (8, 8)),
        ([(10, 12), (500, 900)], (64, 64)),
    ],
)
def test_the_size_that_is_chosen(sizes, expected):
    found = plan_geometry(survey(*sizes), None, None)
    assert (found.height, found.width) == expected
    changed = any(size != expected for size in sizes)
    assert bool(found.note) is changed


def test_the_note_says_what_happens():
    note = plan_geometry(survey((300, 200), (20, 30)), None, None).note
    assert note == (
        "The images measure 20 x 30 to 300 x 200 pixels: each is resized to 64 x 64, cropped at the centre "
        "(give an image size to choose another)."
    )


def test_an_explicit_size_is_taken_without_a_note():
    for size, expected in ((32, (32, 32)), ((16, 48), (16, 48))):
        found = plan_geometry(survey((300, 200), (20, 30)), size, None)
        assert (found.height, found.width, found.note) == (*expected, "")


def test_what_was_prepared_keeps_its_size():
    found = plan_geometry(survey((128, 96)), None, None, keep=True)
    assert (found.height, found.width, found.note) == (128, 96, "")


@pytest.mark.parametrize(
    ("grey", "asked", "expected"), [(True, None, 1), (False, None, 3), (True, 3, 3), (False, 1, 1)]
)
def test_channels(grey, asked, expected):
    assert plan_geometry(survey((8, 8), grey=grey), None, asked).channels == expected


@pytest.mark.parametrize(("size", "channels"), [(8, 2), (8, 4), (0, 1), ((8, -1), 1)])
def test_nonsense_is_refused(size, channels):
    with pytest.raises(UsageError):
        plan_geometry(survey((8, 8)), size, channels)
