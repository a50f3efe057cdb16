"""Did the generator see more real rows, or series, than the model that it is to help? See `downstream.leaks`."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from synthgen.downstream.leaks import LeakCheck, Provenance


class Counted(Protocol):
    """Rows of a table, or series."""

    @property
    def name(self) -> str: ...

    @property
    def split(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    def __len__(self) -> int: ...

    def select(self, index: np.ndarray) -> Counted: ...


def spread_rows(count: int, limit: int | None) -> np.ndarray:
    """Which of `count` rows `data.limit` takes: evenly spread, as when a generator is trained with it."""
    if limit is None or limit >= count:
        return np.arange(count)
    return (np.arange(limit) * 2 + 1) * count // (2 * limit)


def check_table_leak(
    generator: Provenance | None,
    given: Counted,
    used: Counted,
    test: Counted,
    *,
    used_rows: np.ndarray | None,
    test_rows: np.ndarray,
    with_test: str | None = None,
    unit: str = "rows",
) -> LeakCheck:
    """Compare the generator's training rows with the model's.

    given: the real table as it came; used: what the models are trained on, its rows `used_rows`, None when classes
    were thinned; test: what they are tested on; test_rows: those of `given` that are among these. with_test:
    fingerprint of a table that holds training and test rows, where there is one. unit: what a row is called.
    """
    if generator is None:
        return LeakCheck(
            "unknown",
            f"it is not known which {unit} the generator was trained on (no manifest and no checkpoint of ours): if it "
            f"saw more than the model's real {unit}, a gain says nothing",
            None,
        )
    if generator.fingerprint == used.fingerprint:
        return LeakCheck(
            "clean", f"the generator was trained on exactly the model's {len(used):,} real {unit}", generator
        )
    rows = _rows(generator, given)
    reached = rows is not None and bool(np.isin(rows, test_rows).any())
    if reached or generator.fingerprint in (test.fingerprint, with_test) or _named_test(generator, test):
        text = f"the generator was trained on {unit} that the models are tested on: the result is void"
        return LeakCheck("test", text, generator)
    if rows is not None and used_rows is not None and np.isin(rows, used_rows).all():
        text = f"the generator was trained on {generator.count:,} of the model's {len(used):,} real {unit}"
        return LeakCheck("clean", text, generator)
    if rows is not None:
        text = (
            f"the generator was trained on {generator.count:,} real {unit}, the model has "
            f"{'other ' if generator.count <= len(used) else ''}{len(used):,}: a gain may be those other {unit} and "
            "not the generator"
        )
        return LeakCheck("more", text, generator)
    text = (
        f"the generator was trained on {generator.count:,} {unit} of {generator.name} that are not the model's "
        f"{len(used):,} real {unit}: a gain may come from them"
    )
    return LeakCheck("other", text, generator)


def _named_test(generator: Provenance, test: Counted) -> bool:
    return generator.name == test.name and test.split == "test" and generator.split == "test"


def _rows(generator: Provenance, given: Counted) -> np.ndarray | None:
    """The rows of `given` that the generator had, if it had them all or a `limit` of them."""
    if generator.fingerprint == given.fingerprint:
        return np.arange(len(given))
    if not 0 < generator.count < len(given):
        return None
    rows = spread_rows(len(given), generator.count)
    return rows if given.select(rows).fingerprint == generator.fingerprint else None
