"""From a run to its sampler card: load, find the judge, sweep, write into the checkpoint."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from synthgen.checkpoints import put_card
from synthgen.errors import UsageError
from synthgen.evaluation.sampler_card import Card
from synthgen.evaluation.sampler_card_judge import judge_of
from synthgen.evaluation.sampler_card_settings import COUNT, REPEATS, candidates
from synthgen.evaluation.sampler_card_sweep import Sweep, with_learned
from synthgen.generation.model import load_image_model
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop, never_stop


@dataclass(frozen=True)
class CardWish:
    """What a card should try; empty: the usual, see `candidates`. source: where the training data lies now."""

    samplers: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    guidance: tuple[float, ...] = ()
    count: int = COUNT
    repeats: int = REPEATS
    seed: int = 0
    source: str | None = None


def make_card(
    run: str | Path,
    wish: CardWish | None = None,
    *,
    device: str = "auto",
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> tuple[Path, Card]:
    """Measure the sampler card of a finished model of images and write it into its checkpoint, which it returns too.

    The sha256 of the checkpoint, and with it every manifest, stays valid. Raises UsageError before any work for what
    cannot be; StoppedError, after which the checkpoint is as it was.
    """
    wish = wish or CardWish()
    model = load_image_model(run, device=device, reporter=reporter)
    if not (os.access(model.path, os.R_OK) and os.access(model.path.parent, os.W_OK)):
        raise UsageError(f"the card is written into {model.path}, which may not be changed", "copy the file elsewhere")
    if wish.guidance and not model.class_names:
        raise UsageError("this model is unconditional: there is nothing to guide towards", "leave out --guidance")
    settings = candidates(model.config.sampling, samplers=wish.samplers, steps=wish.steps, guidance=wish.guidance)
    settings = with_learned(model, settings)
    judge = judge_of(model, source=wish.source, reporter=reporter, should_stop=should_stop)
    sweep = Sweep(
        model,
        judge,
        settings,
        count=wish.count,
        repeats=wish.repeats,
        seed=wish.seed,
        reporter=reporter,
        should_stop=should_stop,
    )
    card = sweep.run()
    put_card(model.path, card.model_dump(mode="json"))
    return model.path, card
