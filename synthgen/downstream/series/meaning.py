"""Whether an augmentation experiment is about series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def means_series(
    real: str, synthetic: Sequence[str], train_generator: str | None = None, overrides: Sequence[str] = ()
) -> bool:
    """Told by --real, by what made --synthetic, or by what the generator is to be.

    A CSV file may be a table or series; the generator's configuration decides.
    """
    from synthgen.data.series.sources import is_made, is_series

    if is_series(real) or any(is_made(Path(one)) for one in synthetic):
        return True
    from synthgen.evaluation.sources import is_run
    from synthgen.runs import modality_of, resolve_run

    if any(is_run(one) and modality_of(resolve_run(one)) == "series" for one in synthetic):
        return True
    if train_generator is None:
        return False
    from synthgen.training.choosing import choose_settings

    flags = {"data.source": real}
    return choose_settings(config=train_generator, overrides=overrides, flags=flags).config.modality == "series"
