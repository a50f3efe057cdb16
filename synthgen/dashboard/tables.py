"""Views of a model of tables: generate rows, complete a file, compare columns, explain."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from synthgen.api import explain, sample
from synthgen.dashboard.parts import View, download, explain_view, frame_downloads, shown_command, uploaded, working
from synthgen.data.tables.schema import NUMERIC
from synthgen.explain.tables.methods import METHOD_NAMES
from synthgen.generation.tables.model import TableModel

MOST = 10_000


def generate(model: TableModel, run: str) -> None:
    """Rows, with conditions that each of them keeps."""
    first, second, third = st.columns(3)
    count = int(first.number_input("Rows", 1, MOST, 100))
    seed = int(second.number_input("Seed", 0, 2**31 - 1, 0))
    masked = model.config.diffusion.process == "masked"
    balance = third.selectbox("Balance a column", [None, *_categories(model)], disabled=not masked)
    text = st.text_area("Conditions, one a line", placeholder="age=30..40\nsex=Female", height=80, disabled=not masked)
    where = [line.strip() for line in text.splitlines() if line.strip()]
    if st.button("Generate", type="primary"):
        with working("sampling ..."):
            st.session_state["rows"] = (
                where,
                balance,
                seed,
                model.sample(count, seed=seed, where=where, balance=balance),
            )
    if "rows" not in st.session_state:
        st.caption("Row k depends on the model, the conditions, the seed and k alone.")
        return
    where, balance, seed, frame = st.session_state["rows"]
    st.dataframe(frame, height=360)
    frame_downloads(frame, "rows")
    flags = [part for condition in where for part in ("--where", condition)]
    flags += ["--balance", balance] if balance else []
    shown_command(["sample", run, "--count", len(frame), *flags, "--seed", seed, "--out", "rows.csv"])


def complete(model: TableModel, run: str) -> None:
    """A file whose missing cells are drawn given the others."""
    draws = int(st.number_input("Completions of each row", 1, 20, 1))
    with uploaded("A table with missing cells, or with some of the columns") as path:
        if path is not None and st.button("Complete", type="primary"):
            with working("completing ..."), tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "completed.csv"
                sample(model, out, complete=path, draws=draws)
                st.session_state["completed"] = out.read_bytes(), pd.read_csv(out)
    if "completed" in st.session_state:
        content, frame = st.session_state["completed"]
        st.dataframe(frame, height=360)
        download("CSV", content, "completed.csv", "text/csv")
        shown_command(["sample", run, "--complete", "FILE.csv", "--draws", draws, "--out", "completed.csv"])


def compare(model: TableModel, run: str) -> None:
    """A column of generated rows beside the same of the training rows."""
    if "rows" not in st.session_state:
        st.info("Generate rows first: their columns are compared here with those that the model learned from.")
        return
    made = st.session_state["rows"][-1]
    name = st.selectbox("Column", [column.name for column in model.schema.columns if column.modelled])
    real = _training_rows(model.sha256, model)
    column = next(one for one in model.schema.columns if one.name == name)
    st.bar_chart(shares(real[name], made[name], numeric=column.kind in NUMERIC), stack=False, y_label="share")
    st.caption(f"{len(real):,} training rows, {len(made):,} generated ones. `synthgen evaluate` judges all of it.")


def shares(real: pd.Series, made: pd.Series, *, numeric: bool, bins: int = 20, most: int = 20) -> pd.DataFrame:
    """Share of each bin, or value, among the values that are there: index the bin, columns `real` and `generated`."""
    pair = {"real": real.dropna(), "generated": made.dropna()}
    if numeric:
        numbers = {key: pd.to_numeric(values).to_numpy(float) for key, values in pair.items()}
        edges = np.unique(np.quantile(numbers["real"], [0.0, 1.0]))
        edges = np.linspace(edges[0], edges[-1] + (edges[-1] == edges[0]), bins + 1)
        held = {key: np.histogram(values.clip(edges[0], edges[-1]), edges)[0] for key, values in numbers.items()}
        index = [float(f"{middle:.4g}") for middle in (edges[:-1] + edges[1:]) / 2]
        return pd.DataFrame({key: count / max(1, count.sum()) for key, count in held.items()}, index=index)
    texts = {key: values.astype(str) for key, values in pair.items()}
    order = texts["real"].value_counts().index[:most]
    return pd.DataFrame(
        {key: values.value_counts(normalize=True).reindex(order, fill_value=0.0) for key, values in texts.items()}
    )


def why(model: TableModel, run: str) -> None:
    """The explanation of drawn rows, with its audit."""
    first, second = st.columns(2)
    count = int(first.number_input("Rows", 1, 16, 4, key="why-count"))
    seed = int(second.number_input("Seed", 0, 2**31 - 1, 0, key="why-seed"))
    methods = st.multiselect("Methods", METHOD_NAMES, [METHOD_NAMES[0]], key="why-methods")
    call = partial(explain, model, samples=count, seed=seed, methods=methods or None)
    explain_view(lambda out: call(out), (count, seed, tuple(methods)))


@st.cache_data(max_entries=1, show_spinner="reading the training rows ...")
def _training_rows(sha256: str, _model: TableModel) -> pd.DataFrame:
    from synthgen.data.tables.reading import read_table

    return read_table(_model.config.data.source, _model.config.data, schema=_model.schema, split="train").frame


def _categories(model: TableModel) -> list[str]:
    return [column.name for column in model.schema.columns if column.kind in ("category", "boolean")]


VIEWS: dict[str, View] = {"Generate": generate, "Complete": complete, "Compare": compare, "Explain": why}
"""In the order in which they are offered."""
