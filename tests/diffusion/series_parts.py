"""Parts of a made-up codec, for tests of denoisers that need no data."""

from __future__ import annotations

from typing import NamedTuple


class Part(NamedTuple):
    name: str
    role: str
    start: int
    stop: int
    missing: int | None = None
    group: int = 0


class Codec(NamedTuple):
    window: int
    parts: tuple[Part, ...]
