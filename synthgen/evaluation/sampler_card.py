"""The sampler card of a model of images: which settings of its sampler reach which quality at which cost.

It lies in the header of the checkpoint and is not part of what the file's sha256 covers: making a card changes no
sample. Like the rest of a header it may be anybody's, and is checked before anything is taken from it.

Rules. Cost is the number of network evaluations per sample; quality is the domain FID against images that training
never saw. Only settings that were measured in full, with equally many samples, are compared.

- The *front* holds the settings than which none is both as cheap and as good.
- *best* is the cheapest setting whose FID cannot be told from the lowest: their errors overlap.
- *balanced* is the cheapest within 1.25 times the lowest FID, *fast* the cheapest within 2 times; neither is dearer
  than the one before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from synthgen.config.schema import SamplingConfig
from synthgen.errors import SynthgenError, UsageError

Quality = Literal["fast", "balanced", "best"]
QUALITIES: tuple[Quality, ...] = ("fast", "balanced", "best")
FACTORS = {"fast": 2.0, "balanced": 1.25}
"""How many times the lowest FID a choice may have."""

_DECIDED = ("sampler", "steps", "noise_levels", "eta", "guidance_scale", "guidance_interval")
_Text = Annotated[str, Field(max_length=200)]
_Fid = Annotated[float, Field(ge=0, le=1e12)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Setting(_Part):
    """What one setting of the sampler was measured to do.

    calls: network evaluations per sample. fid: mean over `repeats` seeds of `count` samples each; deviation: of one
    measurement, estimated from all settings. agreement: share of samples in which the judge reads the class asked for.
    cost: seconds per image, in units of one network evaluation of it.
    """

    sampling: SamplingConfig
    calls: int = Field(ge=1, le=10**6)
    count: int = Field(ge=1, le=10**9)
    repeats: int = Field(ge=1, le=1000)
    fid: _Fid
    deviation: _Fid | None = None
    agreement: float | None = Field(None, ge=0, le=1)
    cost: float | None = Field(None, gt=0, le=1e9)

    @property
    def error(self) -> float:
        """Standard error of `fid`; 0 where it is not known."""
        return (self.deviation or 0.0) / math.sqrt(self.repeats)

    @property
    def name(self) -> str:
        return describe(self.sampling)


def learned(sampling: SamplingConfig) -> bool:
    """Whether the noise levels of a setting were fitted to the model; a consistency sampler names its usual ones."""
    return bool(sampling.noise_levels) and sampling.sampler != "consistency"


def describe(sampling: SamplingConfig) -> str:
    """A setting in words: `dpm++2m, 8 steps`."""
    steps = f"{sampling.steps} {'step' if sampling.steps == 1 else 'steps'}"
    levels = " at learned levels" if learned(sampling) else ""
    guided = f", guidance {sampling.guidance_scale:g}" if sampling.guidance_scale != 1.0 else ""
    return f"{sampling.sampler}, {steps}{levels}{guided}"


def fields_of(sampling: SamplingConfig) -> dict[str, Any]:
    """The parts of a recipe that a setting decides: all but the size of a block."""
    return {name: getattr(sampling, name) for name in _DECIDED}


class Card(_Part):
    """Settings of one model, measured alike. See the top of this file for the rules of choosing among them.

    count, repeats: of what was measured in full; other settings were given up early. against: what the FID's other side
    was, `held-out` images or, where the model has none, `training` images; never a test set. floor: FID of as many
    other real images as `count`. milliseconds: time of one network evaluation of one image.
    """

    version: Literal[1] = 1
    settings: tuple[Setting, ...] = Field(min_length=1, max_length=1000)
    count: int = Field(ge=1, le=10**9)
    repeats: int = Field(ge=1, le=1000)
    seed: int = Field(ge=0, lt=2**63)
    data: _Text
    against: Literal["held-out", "training"]
    reference_count: int = Field(ge=1)
    features: _Text
    floor: _Fid | None = None
    floor_deviation: _Fid | None = None
    milliseconds: float = Field(gt=0, le=1e9)
    device: _Text
    processor: _Text
    precision: _Text
    seconds: float = Field(ge=0, le=1e12)
    synthgen: _Text

    @property
    def complete(self) -> tuple[Setting, ...]:
        """The settings that were measured in full."""
        wanted = (self.count, self.repeats)
        return tuple(one for one in self.settings if (one.count, one.repeats) == wanted)

    def choices(self) -> dict[str, Setting]:
        """The setting of each quality."""
        return {quality: choose(self.complete, quality) for quality in QUALITIES}


def front(settings: Sequence[Setting]) -> tuple[Setting, ...]:
    """The settings than which none is both as cheap and as good, cheapest first; of equals the first."""
    found: list[Setting] = []
    for one in sorted(settings, key=lambda one: (one.calls, one.fid)):
        if not found or one.fid < found[-1].fid:
            found.append(one)
    return tuple(found)


def choose(settings: Sequence[Setting], quality: str) -> Setting:
    """The setting that a quality means; always one of the front. Raises UsageError for an unknown quality."""
    if quality not in QUALITIES:
        raise UsageError(f"unknown quality '{quality}'", f"use one of {', '.join(QUALITIES)}")
    lowest = min(settings, key=lambda one: (one.fid, one.calls))
    alike = [one.fid for one in settings if one.fid - one.error <= lowest.fid + lowest.error]
    limit = max(FACTORS.get(quality, 1.0) * lowest.fid, *alike, lowest.fid)
    return front([one for one in settings if one.fid <= limit])[0]


def parse_card(header: Mapping[str, Any], place: str) -> Card | None:
    """The card in a checkpoint's header, None where none was made. Raises SynthgenError naming what is wrong with it.

    place: the checkpoint, for the message.
    """
    found = header.get("sampler_card")
    if found is None:
        return None
    try:
        card = Card.model_validate(found)
    except (ValidationError, RecursionError) as error:
        reason = "nested too deep"
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise SynthgenError(
            f"the sampler card of {place} cannot be read ({reason})", "make it anew with `synthgen runs card`"
        ) from error
    if not card.complete:
        raise SynthgenError(f"the sampler card of {place} has no setting that was measured in full")
    return card


def needed_card(header: Mapping[str, Any], place: str) -> Card:
    """`parse_card` for what cannot do without. Raises UsageError that says how to make one."""
    card = parse_card(header, place)
    if card is None:
        raise UsageError(
            f"{place} has no sampler card, which says what fast, balanced and best are",
            "measure it once with `synthgen runs card RUN`, or choose --sampler and --steps yourself",
        )
    return card
