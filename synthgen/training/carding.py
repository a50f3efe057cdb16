"""The sampler card at the end of training: when it is measured, and which average of the weights it lets stay."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any

from synthgen.config.modalities import AnyConfig
from synthgen.config.schema import Config
from synthgen.data.dataset import ImageData
from synthgen.errors import StoppedError, SynthgenError
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop
from synthgen.training.schedule import Horizon
from synthgen.training.world import Tensors, World

if TYPE_CHECKING:
    from synthgen.generation.model import Model
    from synthgen.training.saving import Saver
    from synthgen.training.step import Trainer

SHARE = 0.1
"""Of the training time, what `sampling.card: auto` may take."""

_FORWARD = 3.0
"""Training steps per image for which the network could be evaluated once: forward alone is a third of a step."""


def kept_for_card(config: AnyConfig, world: World, horizon: Horizon, images_per_second: float) -> float:
    """Seconds of the budget that are kept for the card; 0 when none will be made, or there is no budget."""
    if horizon.seconds is None or not _wanted(config, world, "auto"):
        return 0.0
    seconds = SHARE * horizon.seconds
    return seconds if seconds * _FORWARD * images_per_second >= _least_calls(config) else 0.0


def _wanted(config: AnyConfig, world: World, *modes: str) -> bool:
    return isinstance(config, Config) and config.sampling.card in modes and world.size == 1


def _least_calls(config: AnyConfig) -> float:
    """Network evaluations of the smallest card that is worth making."""
    from synthgen.evaluation.sampler_card_settings import FEWEST, expected_calls

    assert isinstance(config, Config)
    return expected_calls(config.sampling, FEWEST)


def finish_card(
    trainer: Trainer, saver: Saver, horizon: Horizon, data: object, reporter: Reporter, should_stop: ShouldStop
) -> None:
    """Measure the card of a finished model of images, where its settings want that, and write it into its checkpoint.

    A model that cannot have one is no failure: the reason is said. Raises StoppedError; the model is whole then.
    """
    config = trainer.config
    if not _wanted(config, trainer.world, "auto", "always") or not isinstance(data, ImageData):
        return
    deadline = None
    if config.sampling.card == "auto":  # type: ignore[union-attr]
        seconds = _seconds_left(horizon)
        if seconds <= 0:
            return
        deadline = time.monotonic() + seconds
    try:
        _measure(trainer, saver, data, deadline, reporter, should_stop)
    except StoppedError as error:
        raise StoppedError(
            f"stopped while measuring the sampler card; the model is finished: {saver.last_model}",
            f"make the card with: synthgen runs card {saver.run}",
        ) from error
    except SynthgenError as error:
        reporter.warn(f"no sampler card was made: {error.message}")


def _seconds_left(horizon: Horizon) -> float:
    """What is left of the budget, or a tenth of the time that a run without one took."""
    if horizon.seconds is None:
        return SHARE * horizon.elapsed
    return horizon.seconds - horizon.elapsed if horizon.card else 0.0


def _measure(
    trainer: Trainer,
    saver: Saver,
    data: ImageData,
    deadline: float | None,
    reporter: Reporter,
    should_stop: ShouldStop,
) -> None:
    """Choose the average, sweep, and write both into the newest checkpoint."""
    from synthgen.checkpoints import save_checkpoint
    from synthgen.evaluation.sampler_card_judge import judge_of
    from synthgen.evaluation.sampler_card_settings import COUNT, FEWEST, REPEATS, candidates
    from synthgen.evaluation.sampler_card_sweep import Sweep, affordable, one_fid, with_learned
    from synthgen.generation.model import load_image_model

    model = load_image_model(saver.last_model, device=str(trainer.device))
    count = COUNT if deadline is None else affordable(model, deadline - time.monotonic())
    if deadline is not None and count < FEWEST:
        reporter.info(f"no sampler card: too little time is left; `synthgen runs card {saver.run}` makes one")
        return
    judge = judge_of(model, data=data, reporter=reporter, should_stop=should_stop)
    timed: dict[str, Any] = {"deadline": deadline, "reporter": reporter, "should_stop": should_stop}
    half_life, short = trainer.config.training.ema_half_life, trainer.short
    if short is not None:
        other = _with_weights(model, short.state("network."))
        if one_fid(other, judge, count, **timed) < one_fid(model, judge, count, **timed):
            model, half_life = other, short.share
    settings = with_learned(model, candidates(model.config.sampling))
    card = Sweep(model, judge, settings, count=count, repeats=REPEATS, **timed).run()
    header = {**model.header, "sampler_card": card.model_dump(mode="json")}
    header["training"] = {**model.header["training"], "ema_half_life": half_life}
    save_checkpoint(saver.last_model, dict(model.denoiser.network.state_dict()), header)


def _with_weights(model: Model, weights: Tensors) -> Model:
    """The same model with other weights of its network."""
    denoiser = copy.deepcopy(model.denoiser)
    denoiser.network.load_state_dict(weights)
    return type(model)(model.path, model.header, denoiser, model.codec, model.device)
