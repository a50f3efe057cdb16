"""The training of a run as it goes on: curves and previews from its folder, looked at every few seconds."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import streamlit as st

from synthgen.dashboard.names import log_of
from synthgen.training.metrics import read_metrics

EVERY = 5.0
"""Seconds between two looks."""
_STALE = 120.0
"""Seconds without a new row after which a run is taken to have ended."""


def show(run: str) -> None:
    """The view."""
    log = log_of(run)
    if log is None:
        st.info("This model comes without the log of its training.")
        return
    _follow(log.parent)


@st.fragment(run_every=EVERY)
def _follow(folder: Path) -> None:
    rows = pd.DataFrame(read_metrics(folder / "metrics.jsonl"))
    if rows.empty:
        st.info("Nothing was logged yet.")
        return
    last = rows.iloc[-1]
    quiet = time.time() - (folder / "metrics.jsonl").stat().st_mtime
    speed = next((name for name in rows if str(name).endswith("_per_second")), None)
    facts = [("step", f"{int(last['step']):,}"), ("loss", "–" if pd.isna(last["loss"]) else f"{last['loss']:.4g}")]
    if speed is not None:
        facts.append((str(speed).replace("_per_second", " a second"), f"{last[speed]:,.0f}"))
    facts.append(("bad steps", f"{int(last.get('bad_steps', 0)):,}"))
    for place, (name, value) in zip(st.columns(len(facts)), facts, strict=True):
        place.metric(name, value)
    st.caption("has ended, or stands still" if quiet > _STALE else f"last row {quiet:.0f} s ago")
    st.line_chart(rows.set_index("step")[["loss"]], x_label="step", y_label="loss", height=260)
    if speed is not None:
        st.line_chart(rows.set_index("step")[[speed]], x_label="step", y_label=str(speed).replace("_", " "), height=200)
    previews = sorted((folder / "previews").glob("*.png"))
    if previews:
        st.image(str(previews[-1]), caption=previews[-1].stem.replace("-", " "))
