"""What `--real`, `--fake` and `--test` mean for tables: files, folders of samples, or a run, sampled in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.config.tables import TableDataConfig
from synthgen.data.classes import SAMPLES_KIND
from synthgen.data.tables.hashing import row_hashes
from synthgen.data.tables.known import KNOWN_TABLES
from synthgen.data.tables.reading import open_table, read_table, split_column, table_from_frame
from synthgen.data.tables.schema import TableData, TableSchema
from synthgen.downstream.leaks import Provenance, provenance
from synthgen.errors import SynthgenError
from synthgen.evaluation.sources import is_run
from synthgen.evaluation.tables.result import Leak
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    import pandas as pd


_MOST_BYTES = 64 * 2**20
_TOLD = 0.01
"""From this share of test rows on that are equal to training rows, beyond chance, a warning is due."""


@dataclass(frozen=True)
class Origin:
    """Where synthetic rows come from.

    read: gives them in the terms of a schema. schema: of the generator, None when nothing says it. generator: what it
    was trained on. target: what its configuration names. likelihood: see `TableParts`.
    """

    name: str
    read: Callable[[TableSchema], TableData]
    schema: TableSchema | None = None
    generator: Provenance | None = None
    target: str | None = None
    likelihood: Callable[[pd.DataFrame], np.ndarray] | None = None


def open_synthetic(
    source: str,
    *,
    count: int | None,
    seed: int,
    device: str,
    reporter: Reporter,
    should_stop: ShouldStop,
) -> Origin:
    """The rows that `source` names, read later. count: rows to draw from a run; None: as many as it was trained on."""
    if is_run(source):
        return _of_run(source, count, seed, device, reporter, should_stop)
    manifest = _manifest(Path(source))
    schema = generator = None
    if manifest is not None:
        try:
            schema = TableSchema.from_dict(manifest["schema"])
            generator = provenance(manifest["model"].get("data"))
        except (KeyError, AttributeError) as error:
            raise SynthgenError(f"the manifest beside {source} does not describe its rows ({error})") from error

    def read(terms: TableSchema) -> TableData:
        return read_table(source, schema=terms, reporter=reporter, should_stop=should_stop)

    return Origin(source, read, schema, generator)


def _of_run(
    source: str, count: int | None, seed: int, device: str, reporter: Reporter, should_stop: ShouldStop
) -> Origin:
    from synthgen.generation.tables.model import load_table_model

    trained = load_table_model(source, device=device, reporter=reporter)
    data = trained.header.get("data") or {}
    wanted = count or int(data.get("count") or 2000)

    def read(terms: TableSchema) -> TableData:
        reporter.info(f"drawing {wanted:,} rows from {trained.path}")
        frame = trained.sample(wanted, seed=seed, reporter=reporter, should_stop=should_stop)
        return table_from_frame(frame, name=f"samples of {source}", schema=terms)

    def likelihood(frame: pd.DataFrame) -> np.ndarray:
        return np.asarray(trained.log_likelihood(frame))

    return Origin(source, read, trained.schema, provenance(data), trained.config.data.target, likelihood)


def _manifest(path: Path) -> dict[str, Any] | None:
    """What `synthgen sample` wrote beside a table or into its folder; None without it."""
    beside = [path / "manifest.json"] if path.is_dir() else [path.with_name(f"{path.name}.manifest.json")]
    beside += [] if path.is_dir() else [path.parent / "manifest.json"]
    for one in beside:
        if one.is_file() and one.stat().st_size <= _MOST_BYTES:
            try:
                found = json.loads(one.read_text(encoding="utf-8"))
            except ValueError:
                continue  # not ours
            if isinstance(found, dict) and found.get("kind") == SAMPLES_KIND and found.get("modality") == "tables":
                return found
    return None


def read_real(
    source: str, schema: TableSchema | None, *, reporter: Reporter | None = None, should_stop: ShouldStop = never_stop
) -> TableData:
    """The real training rows: those that the column `split` or the set's own files call so, else all."""
    reporter = reporter or NullReporter()
    return read_table(source, schema=schema, split="train", reporter=reporter, should_stop=should_stop)


def read_holdout(
    real: str,
    test: str | None,
    schema: TableSchema,
    *,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> TableData | None:
    """Real rows that no generator was trained on: `--test`, or the real table's own test rows; None without any."""
    reporter = reporter or NullReporter()
    if test is not None:
        split = "test" if _has_test_rows(test, reporter, should_stop) else "all"
        return read_table(test, schema=schema, split=split, reporter=reporter, should_stop=should_stop)
    if not _has_test_rows(real, reporter, should_stop):
        return None
    return read_table(real, schema=schema, split="test", reporter=NullReporter(), should_stop=should_stop)


def _has_test_rows(source: str, reporter: Reporter, should_stop: ShouldStop) -> bool:
    if source in KNOWN_TABLES and not Path(source).exists():
        return "test" in KNOWN_TABLES[source].files
    raw, _ = open_table(source, TableDataConfig(), "all", NullReporter(), should_stop)
    found = split_column(raw)
    return found is not None and bool((found[1] == "test").any())


def check_leak(generator: Provenance | None, real: TableData, holdout: TableData | None) -> Leak:
    """What the generator is known to have seen, and whether test rows are training rows again."""
    overlap, expected = 0, 0.0
    if holdout is not None:
        names = [column.name for column in real.schema.modelled]
        seen = row_hashes(real.frame[names])
        overlap = int(np.isin(row_hashes(holdout.frame[names]), seen).sum())
        counts = np.unique(seen, return_counts=True)[1]
        expected = len(holdout) * float(counts[counts > 1].sum()) / max(len(seen), 1)
    held = 0 if holdout is None else len(holdout)
    if generator is None:
        text = "it is not known which rows the generator was trained on (no manifest and no checkpoint of ours)"
        return Leak("unknown", text, overlap, held, expected)
    if generator.fingerprint == real.fingerprint:
        return Leak(
            "clean", f"the generator was trained on exactly these {len(real):,} real rows", overlap, held, expected
        )
    if holdout is not None and generator.fingerprint == holdout.fingerprint:
        return Leak(
            "test", "the generator was trained on the test rows: nothing here is out of sample", overlap, held, expected
        )
    text = (
        f"the generator was trained on {generator.count:,} rows of {generator.name} ({generator.split}) that are not "
        f"exactly the {len(real):,} real rows given: the test rows may be among them"
    )
    return Leak("other", text, overlap, held, expected)


def leak_warnings(leak: Leak) -> list[str]:
    """What a user must know of it."""
    found = [leak.sentence] if leak.status in ("test", "other") else []
    # Rows of few columns repeat by chance: so many that training rows have among each other are nothing to be told.
    chance = min(leak.expected + 3.0 * leak.expected**0.5, float(leak.held_out))
    if leak.held_out and leak.overlap > chance + _TOLD * leak.held_out:
        found.append(
            f"{leak.overlap:,} of the {leak.held_out:,} test rows are equal to training rows: they are not held out, "
            "and what is measured on them is too good "
            f"(of rows held out of the training table about {leak.expected:,.0f} would be)"
        )
    return found


def copy_warnings(real: TableData, fake: TableData) -> list[str]:
    """A sentence where more synthetic rows equal a training row than training rows equal each other.

    For want of held-out rows: with these, `distances` says it better.
    """
    names = [column.name for column in real.schema.modelled]
    if not names or not len(fake):
        return []
    seen, made = row_hashes(real.frame[names]), row_hashes(fake.frame[names])
    counts = np.unique(seen, return_counts=True)[1]
    equal, expected = int(np.isin(made, seen).sum()), len(fake) * float(counts[counts > 1].sum()) / len(seen)
    if equal <= min(expected + 3.0 * expected**0.5, float(len(fake))) + _TOLD * len(fake):
        return []
    return [
        f"{equal:,} of the {len(fake):,} synthetic rows are equal to a training row (of new rows about "
        f"{expected:,.0f} would be): the figures are those of copies. --test FILE measures how near rows come"
    ]
