"""Views of a model of series: generate windows, complete and forecast a file, explain."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from synthgen.api import explain, sample
from synthgen.dashboard.parts import View, download, explain_view, frame_downloads, shown_command, uploaded, working
from synthgen.explain.series.methods import METHOD_NAMES
from synthgen.generation.series.model import SeriesModel

MOST = 64
SHOWN = 4
"""Sequences that are drawn as curves."""


def generate(model: SeriesModel, run: str) -> None:
    """Sequences, of a class or a length if wanted."""
    first, second, third, fourth = st.columns(4)
    count = int(first.number_input("Sequences", 1, MOST, 4))
    seed = int(second.number_input("Seed", 0, 2**31 - 1, 0))
    length = int(third.number_input("Steps", 1, 10_000, model.window))
    labels = fourth.multiselect("Classes", model.class_names, placeholder="as in the data")
    if st.button("Generate", type="primary"):
        with working("sampling ..."):
            asked: dict[str, Any] = {
                "labels": labels or None,
                "seed": seed,
                "length": None if length == model.window else length,
            }
            st.session_state["series"] = (asked, model.sample(count, **asked), model.sample_frame(count, **asked))
    if "series" not in st.session_state:
        st.caption("Sequence k depends on the model, these settings, the seed and k alone.")
        return
    asked, values, frame = st.session_state["series"]
    channels = list(model.schema.channels)
    chosen = st.multiselect("Channels", channels, channels[:3])
    for number, one in enumerate(values[:SHOWN]):
        curves = pd.DataFrame(one, columns=channels)[chosen].dropna(how="all")
        st.line_chart(curves, height=180, x_label=f"step of sequence {number}")
    frame_downloads(frame, "series")
    flags = [part for label in asked["labels"] or () for part in ("--class", label)]
    flags += ["--length", asked["length"]] if asked["length"] else []
    shown_command(["sample", run, "--count", len(values), *flags, "--seed", asked["seed"], "--out", "series.csv"])


def complete(model: SeriesModel, run: str) -> None:
    """A file whose gaps are filled; rows with a time and nothing else are forecast."""
    draws = int(st.number_input("Completions of each sequence", 1, 50, 1))
    with uploaded("Series with gaps, in the form of the training data") as path:
        if path is not None and st.button("Complete", type="primary"):
            with working("completing ..."), tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "completed.csv"
                sample(model, out, complete=path, draws=draws)
                st.session_state["filled"] = out.read_bytes(), pd.read_csv(out)
    if "filled" in st.session_state:
        content, frame = st.session_state["filled"]
        channels = [name for name in model.schema.channels if name in frame]
        st.line_chart(frame[st.multiselect("Channels", channels, channels[:3])], height=260)
        st.dataframe(frame, height=260)
        download("CSV", content, "completed.csv", "text/csv")
        shown_command(["sample", run, "--complete", "FILE.csv", "--draws", draws, "--out", "completed.csv"])


def why(model: SeriesModel, run: str) -> None:
    """The explanation of drawn sequences, with its audit."""
    first, second = st.columns(2)
    count = int(first.number_input("Sequences", 1, 8, 2, key="why-count"))
    seed = int(second.number_input("Seed", 0, 2**31 - 1, 0, key="why-seed"))
    methods = st.multiselect("Methods", METHOD_NAMES, [METHOD_NAMES[0]], key="why-methods")
    call = partial(explain, model, samples=count, seed=seed, methods=methods or None)
    explain_view(lambda out: call(out), (count, seed, tuple(methods)))


VIEWS: dict[str, View] = {"Generate": generate, "Complete": complete, "Explain": why}
"""In the order in which they are offered."""
