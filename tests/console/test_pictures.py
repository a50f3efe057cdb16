"""Pictures in a terminal: only where one can be shown."""

from __future__ import annotations

import os
import shutil

import pytest

from synthgen.console import pictures


def test_a_terminal_without_a_size_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """`script` and some CI systems give one: a picture was divided by its width."""
    monkeypatch.setattr(pictures, "is_terminal", lambda stream: True)
    monkeypatch.setattr(os, "tcgetpgrp", lambda descriptor: os.getpgrp(), raising=False)
    for size, expected in (((120, 40), True), ((0, 0), False)):
        monkeypatch.setattr(shutil, "get_terminal_size", lambda fallback=(80, 24), size=size: os.terminal_size(size))
        assert pictures.can_draw() is expected
