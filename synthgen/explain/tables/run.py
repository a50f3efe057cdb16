"""The explanation of rows as a folder: methods run one after another, written as numbers, tables, arrays and a page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.tables.schema import TableData
from synthgen.errors import StoppedError, UsageError
from synthgen.explain.methods import possible
from synthgen.explain.publishing import publish
from synthgen.explain.tables import audit
from synthgen.explain.tables.detector import Detection, detect
from synthgen.explain.tables.features import Contest, contest
from synthgen.explain.tables.likelihood import DRAWS, Likelihood, check_chain, likelihood
from synthgen.explain.tables.masking import Sharing, share_out
from synthgen.explain.tables.methods import METHOD_NAMES, NEEDS_DATA, NEEDS_LOGITS, check_methods
from synthgen.explain.tables.neighbours import MemberScores, Neighbours, member_scores, neighbours
from synthgen.explain.tables.probe import Probe
from synthgen.explain.tables.sources import Asked, Real, asked_rows, choose_target, real_rows, value_texts
from synthgen.generation.parallel import one_thread
from synthgen.outputs import check_output
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.explain.attribution import Check
    from synthgen.generation.tables.model import TableModel

REFERENCES = 500
"""Training rows, and as many held-out ones, whose likelihood is computed to compare with."""

REFERENCE_DRAWS = 4


@dataclass(frozen=True)
class TableRequest:
    """Which rows to explain and how.

    samples: how many rows. rows: a file with the rows; None: those that `synthgen sample` makes. data, test: files with
    the training rows (None: the run's own source) and with rows that were never trained on (None: those that training
    held out). target: the column for `attribution`. count: synthetic rows, and as many real ones, for the detector.
    methods: out of `METHOD_NAMES`; None: all that can be had. invocation: the command to show in the page.
    """

    samples: int = 8
    rows: str | None = None
    data: str | None = None
    test: str | None = None
    target: str | None = None
    count: int = 1000
    methods: tuple[str, ...] | None = None
    seed: int = 0
    steps: int | None = None
    invocation: str = ""


@dataclass(eq=False)
class TableExplanation:
    """What was found; the parts of methods that were left out are None. notes: what was left out, and why.

    summary: the contents of `summary.json`; files: what is written, by name.
    """

    model: TableModel
    request: TableRequest
    asked: Asked
    real: Real
    tokens: np.ndarray
    detection: Detection | None = None
    contest: Contest | None = None
    likelihood: Likelihood | None = None
    likelihood_gap: float = float("nan")
    sharing: Sharing | None = None
    checks: tuple[Check, ...] = ()
    neighbours: Neighbours | None = None
    members: MemberScores | None = None
    notes: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the model predicts."""
        return tuple(column.name for column in self.model.codec.columns)

    @property
    def target(self) -> str:
        """What `sharing` is about."""
        assert self.sharing is not None
        return self.columns[self.sharing.target]

    def text(self, column: str, row: int) -> str:
        """The value of a column of the model in a row, as the table writes it."""
        return self.values[column][row]

    def texts_of(self, table: TableData) -> dict[str, list[str]]:
        """By column of the model, the texts of a table's rows; a column that stands for several shows all of them."""
        plain = {one.name: value_texts(table.frame[one.name], one) for one in table.schema.columns}
        found = {}
        for column in self.model.codec.columns:
            parts = [plain[name] for name in column.sources]
            found[column.name] = [" / ".join(row) for row in zip(*parts, strict=True)]
        return found

    @cached_property
    def values(self) -> dict[str, list[str]]:
        """`texts_of` the explained rows."""
        return self.texts_of(self.asked.rows)


def explain_table_to_folder(
    model: TableModel,
    out: Path,
    request: TableRequest | None = None,
    *,
    force: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> TableExplanation:
    """Explain rows of a model of a table and write the folder `out`: page, tables, arrays, `summary.json`.

    Raises: UsageError before anything is written; StoppedError.
    """
    from synthgen.explain.tables.files import add_tables
    from synthgen.explain.tables.page import write_page
    from synthgen.explain.tables.summary import summary_of

    check_output(out, force=force)
    found = explain_table(model, request, reporter=reporter, should_stop=should_stop)
    add_tables(found)
    found.summary = summary_of(found)
    found.files["index.html"] = write_page(found).encode()
    found.files["summary.json"] = (json.dumps(found.summary, indent=2) + "\n").encode()
    publish(out, found.files, force=force)
    return found


def explain_table(
    model: TableModel,
    request: TableRequest | None = None,
    *,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> TableExplanation:
    """The same in memory. Raises UsageError, StoppedError."""
    request, reporter = request or TableRequest(), reporter or NullReporter()
    if request.samples < 1:
        raise UsageError(f"1 row or more is needed, not {request.samples}")
    methods = METHOD_NAMES if request.methods is None else request.methods
    check_methods(methods)
    if "attribution" in methods:
        choose_target(model, request.target)  # a wrong name is told before rows are drawn
    real = real_rows(model, request.data, request.test, reporter, should_stop)
    asked = asked_rows(
        model,
        request.rows,
        request.samples,
        request.count if "detector" in methods else 0,
        request.seed,
        request.steps,
        reporter,
        should_stop,
    )
    found = TableExplanation(model, request, asked, real, model.codec.encode(asked.rows.frame)[0])
    for method in possible(
        methods,
        lambda method: _impossible(found, method),
        found.notes,
        asked=request.methods is not None,
        hint="give --data, or leave the method out",
    ):
        if should_stop():
            raise StoppedError("stopped while explaining; nothing was written")
        with one_thread(model.device):
            METHODS[method](found, reporter, should_stop)
    return found


def _impossible(found: TableExplanation, method: str) -> str | None:
    """Why a method cannot be had, or None."""
    from synthgen.explain.tables.detector import LEAST_ROWS

    if method in NEEDS_DATA and found.real.train is None:
        return found.real.why
    if method in NEEDS_LOGITS and not hasattr(found.model.denoiser, "logits"):
        return "the model's process is gaussian, which does not tell how likely a cell is given others"
    if method == "attribution" and len(found.columns) < 2:
        return "the model predicts one column only"
    if method == "detector":
        assert found.real.train is not None
        few = min(len(found.asked.crowd), len(found.real.train), found.request.count)
        return f"{few} rows are too few ({LEAST_ROWS} needed)" if few < LEAST_ROWS else None
    return None


def _probe(found: TableExplanation, should_stop: ShouldStop) -> Probe:
    return Probe(found.model.denoiser, found.model.codec.sizes, found.model.device, should_stop)


def _detector(found: TableExplanation, reporter: Reporter, should_stop: ShouldStop) -> None:
    assert found.real.train is not None
    request = found.request
    random = np.random.default_rng([request.seed, 30])
    found.contest = contest(found.real.train, found.asked.crowd, request.count, random)
    found.detection = detect(found.contest, seed=request.seed, reporter=reporter, should_stop=should_stop)


def _likelihood(found: TableExplanation, reporter: Reporter, should_stop: ShouldStop) -> None:
    probe = _probe(found, should_stop)
    draws = int(np.clip(240 // len(found.columns), 2, DRAWS))
    found.likelihood = likelihood(probe, found.tokens, seed=found.request.seed, draws=draws)
    found.likelihood_gap = check_chain(found.model.denoiser, probe, found.tokens, found.request.seed)


def _attribution(found: TableExplanation, reporter: Reporter, should_stop: ShouldStop) -> None:
    probe, request = _probe(found, should_stop), found.request
    target, pairs = choose_target(found.model, request.target), int(np.clip(112 // len(found.columns), 1, 8))
    result = share_out(probe, found.tokens, target, seed=request.seed, pairs=pairs)
    shuffled = []
    for number in range(audit.SHUFFLES):
        other = audit.shuffle_weights(found.model.denoiser, number)
        blind = Probe(other, probe.sizes, probe.device, should_stop)
        shuffled.append(share_out(blind, found.tokens, target, seed=request.seed, pairs=1).shares)
    found.sharing = result
    found.checks = (
        audit.additivity(result.gap),
        audit.content(result.full, result.empty),
        audit.deletion(probe, found.tokens, target, result.columns, result.shares, seed=request.seed),
        audit.weights(result.shares, shuffled),
        audit.stability(result.halves),
    )


def _neighbours(found: TableExplanation, reporter: Reporter, should_stop: ShouldStop) -> None:
    train, holdout, seed = found.real.train, found.real.holdout, found.request.seed
    assert train is not None
    found.neighbours = neighbours(found.asked.rows, train, holdout, seed=seed, should_stop=should_stop)
    if holdout is None or min(len(train), len(holdout)) < 20 or not hasattr(found.model.denoiser, "logits"):
        return
    random = np.random.default_rng([seed, 37])
    parts = [found.asked.rows] + [
        one.select(np.sort(random.permutation(len(one))[:REFERENCES])) for one in (train, holdout)
    ]
    scores = [found.model.log_likelihoods(part.frame, draws=REFERENCE_DRAWS, seed=seed)[0] for part in parts]
    found.members = member_scores(*scores)


METHODS: dict[str, Callable[[TableExplanation, Reporter, ShouldStop], None]] = {
    "detector": _detector,
    "likelihood": _likelihood,
    "attribution": _attribution,
    "neighbours": _neighbours,
}
"""Name -> what computes it and adds it to the explanation."""


__all__ = ["METHODS", "TableExplanation", "TableRequest", "explain_table", "explain_table_to_folder"]
