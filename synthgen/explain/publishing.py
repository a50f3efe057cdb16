"""An explanation appears as a whole folder, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from synthgen.outputs import MARKER, atomic_write, prepare_output


def publish(out: Path, files: Mapping[str, bytes], *, force: bool) -> None:
    """Write the files to a folder beside `out`, then put it in place of `out`."""
    staging = out.parent / f".{out.name}.{os.getpid()}.partial"
    try:
        for name, content in files.items():
            atomic_write(staging / name, content)
        (staging / MARKER).touch()
        prepare_output(out, force=force)
        shutil.rmtree(out)
        staging.rename(out)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
