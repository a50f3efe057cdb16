"""What each stream can show: colour, and moving cursors. Decided by the flag and the environment."""

from __future__ import annotations

import os
import re
from enum import Enum
from typing import TextIO


class Color(str, Enum):
    """The values of `--color`."""

    auto = "auto"
    always = "always"
    never = "never"


def is_terminal(stream: TextIO) -> bool:
    """True where a person is looking: a terminal that understands cursor movement."""
    return not stream.closed and stream.isatty() and os.environ.get("TERM") != "dumb"


def wants_color(stream: TextIO, color: Color = Color.auto) -> bool:
    """Whether to write colour codes to this stream.

    The flag wins; then NO_COLOR (set to anything, see no-color.org), TERM=dumb, FORCE_COLOR (set, and not 0),
    and last whether the stream is a terminal.
    """
    if color is not Color.auto:
        return color is Color.always
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return is_terminal(stream)


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def visible(text: str) -> str:
    """`text` with control characters shown and not obeyed: names in files may hold commands to the terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


_CODES = {"bold": "1", "dim": "2", "red": "1;31", "green": "32", "yellow": "33", "cyan": "36"}


def paint(text: str, style: str, enabled: bool) -> str:
    """`text` in a style of `_CODES`, or as it is. Plain ANSI: an error need not wait for rich."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if enabled else text
