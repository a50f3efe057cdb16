"""The page itself. Streamlit runs this file anew at every click; what is costly is kept by `parts`."""

from __future__ import annotations

import streamlit as st

from synthgen.dashboard import images, series, tables, training
from synthgen.dashboard.names import log_of
from synthgen.dashboard.parts import View, failures_shown, find_run, the_model
from synthgen.errors import UsageError
from synthgen.runs import modality_of, resolve_run

VIEWS: dict[str, dict[str, View]] = {"images": images.VIEWS, "tables": tables.VIEWS, "series": series.VIEWS}


def main() -> None:
    """Choose a view and show it."""
    run, device = find_run()
    st.set_page_config(page_title=f"synthgen: {run}", layout="wide", initial_sidebar_state="collapsed")
    st.html("<style>.stMainBlockContainer { padding-top: 2.5rem }</style>")  # Streamlit leaves a hand's breadth empty
    st.markdown(f"#### synthgen · {run}")
    try:
        checkpoint = resolve_run(run)
    except UsageError as error:
        if log_of(run) is None:
            st.error(error.message)
            return
        st.info("There is no checkpoint yet: this page shows the training until there is one.")
        training.show(run)
        return
    views = VIEWS[modality_of(checkpoint)]
    names = [*views, "Training"]
    chosen = st.radio("View", names, horizontal=True, label_visibility="collapsed", key="view")
    if chosen == "Training":
        training.show(run)
        return
    with failures_shown():
        views[str(chosen)](the_model(checkpoint, device), run)


main()
