"""What every view needs: the run, the model kept between clicks, downloads, errors as a person should see them."""

from __future__ import annotations

import io
import os
import shlex
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
import streamlit.components.v1 as components

from synthgen.dashboard.names import DEVICE_VARIABLE, RUN_VARIABLE
from synthgen.errors import SynthgenError
from synthgen.generation.model import load

View = Callable[[Any, str], None]
"""(model, name of the run) -> shows a view."""

LARGEST_UPLOAD = 50 * 2**20

_turn = threading.Lock()
"""One visitor's arithmetic at a time: two would share the same cores and memory."""


def find_run() -> tuple[str, str]:
    """The run and the device that the page is for."""
    return os.environ[RUN_VARIABLE], os.environ.get(DEVICE_VARIABLE, "auto")


def the_model(checkpoint: Path, device: str) -> Any:
    """The model at `checkpoint`, kept until the file changes."""
    stat = checkpoint.stat()
    return _load(str(checkpoint), stat.st_mtime_ns, stat.st_size, device)


@st.cache_resource(max_entries=2, show_spinner="loading the model ...")
def _load(path: str, changed: int, size: int, device: str) -> Any:
    return load(path, device=device)


@contextmanager
def failures_shown() -> Iterator[None]:
    """Errors that are for people become a red box with what to do; any other is a bug and is shown as one."""
    try:
        yield
    except SynthgenError as error:
        st.error(error.message + (f"\n\n{error.hint}" if error.hint else ""))


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner, and the machine to oneself."""
    with st.spinner(what), _turn:
        yield


def shown_command(parts: Sequence[object]) -> None:
    """The same thing on the command line."""
    st.caption("The same on the command line")
    st.code(shlex.join(["synthgen", *map(str, parts)]), language="sh")


def zip_bytes(files: dict[str, bytes]) -> bytes:
    """An archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def download(label: str, content: bytes, name: str, mime: str = "application/octet-stream") -> None:
    """A button that saves a file."""
    st.download_button(label, content, name, mime, icon=":material/download:")


def frame_downloads(frame: pd.DataFrame, name: str) -> None:
    """Buttons for a frame as CSV and, where pyarrow is there, as Parquet."""
    with st.container(horizontal=True):
        download("CSV", frame.to_csv(index=False).encode(), f"{name}.csv", "text/csv")
        try:
            download("Parquet", frame.to_parquet(None, index=False), f"{name}.parquet")
        except ImportError:
            st.caption('Parquet needs `pip install "synthgen[parquet]"`')


@contextmanager
def uploaded(label: str) -> Iterator[Path | None]:
    """A CSV, TSV or Parquet file that the visitor gives, on disk as long as it is read; None without one."""
    given = st.file_uploader(label, type=["csv", "tsv", "parquet"])
    if given is None:
        yield None
        return
    if given.size > LARGEST_UPLOAD:
        raise SynthgenError(
            f"{given.name} has {given.size / 2**20:.0f} MB", "use `synthgen sample RUN --complete FILE`"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"uploaded{Path(given.name).suffix.lower()}"  # nothing of the client's name but its kind
        path.write_bytes(given.getvalue())
        yield path


def explain_view(explain: Callable[[Path], object], asked: object) -> None:
    """A button that explains into a folder of its own, then the page with its audit, and everything as an archive.

    explain: writes the folder that it is given. asked: what the explanation depends on; another one empties the view.
    """
    held = st.session_state.get("explained")
    if st.button("Explain", type="primary"):
        with working("explaining, and checking the explanation ..."), tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "why"
            explain(out)
            files = {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
        held = (asked, files)
        st.session_state["explained"] = held
    if held is None or held[0] != asked:
        st.caption("The page names the checks that every map passed or failed.")
        return
    files = held[1]
    download("Everything as a zip", zip_bytes(files), "explanation.zip", "application/zip")
    _framed(files["index.html"].decode())


def _framed(html: str) -> None:
    """A page of ours inside this one; older versions of Streamlit know the frame by another name."""
    if hasattr(st, "iframe"):
        st.iframe(html, height=1400)
    else:
        components.html(html, height=1400, scrolling=True)
