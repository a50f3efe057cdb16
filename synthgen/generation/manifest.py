"""manifest.json: what a set of samples is, where it comes from, what of it is there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from synthgen.data.classes import MANIFEST, SAMPLES_KIND
from synthgen.errors import SynthgenError, UsageError
from synthgen.generation.plan import SamplePlan, differences, plan_from_dict
from synthgen.generation.storage import MOST_BYTES

if TYPE_CHECKING:
    from synthgen.generation.model import Model

FORMAT_VERSION = 1
SHARD_KIND = "synthgen-shard"


@dataclass(frozen=True)
class Origin:
    """What a set inherits from its model. image: (H, W, C). model: path, data, training of the checkpoint."""

    class_names: tuple[str, ...]
    image: tuple[int, int, int]
    model: dict[str, Any]
    versions: dict[str, Any]

    @property
    def image_bytes(self) -> int:
        height, width, channels = self.image
        return height * width * channels


def origin_of(model: Model) -> Origin:
    """Of a loaded model."""
    header, codec = model.header, model.codec
    about = {"path": str(model.path), "data": header["data"], "training": header["training"]}
    return Origin(model.class_names, (codec.height, codec.width, codec.channels), about, header["versions"])


def describe(plan: SamplePlan, origin: Origin, *, finished: bool, **state: Any) -> bytes:
    """The manifest as JSON; `state`: what is there (counts, files, chunks or shards)."""
    document = {
        "kind": SAMPLES_KIND,
        "format_version": FORMAT_VERSION,
        "finished": finished,
        "plan": plan.to_dict(),
        "class_names": list(origin.class_names),
        "image": list(origin.image),
        **state,
        "model": origin.model,
        "versions": origin.versions,
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode()


def parse(data: bytes, place: str, kind: str = SAMPLES_KIND) -> dict[str, Any]:
    """The document in a manifest. Raises SynthgenError when it is damaged or somebody else's."""
    try:
        if len(data) > MOST_BYTES:
            raise ValueError(f"{len(data):,} bytes")
        document = json.loads(data)
        if not isinstance(document, dict) or document.get("kind") != kind or not isinstance(document["plan"], dict):
            raise ValueError(f"no document of kind '{kind}'")
    except (ValueError, KeyError, RecursionError) as error:
        raise SynthgenError(f"{place} is not a manifest of ours ({error})", "use --force to start anew") from error
    return document


def plan_and_origin(document: dict[str, Any], place: str) -> tuple[SamplePlan, Origin]:
    """What a set was made from, read back. Raises SynthgenError for a manifest that does not say it."""
    plan = plan_from_dict(document["plan"])
    try:
        height, width, channels = (int(size) for size in document["image"])
        names = tuple(str(name) for name in document["class_names"])
        "".join(names).encode()  # half a character, which JSON can hold, is a ValueError
        if plan.prompts not in ((), names):
            raise ValueError("the classes are not the prompts")
        if not (0 < height <= 2**16 and 0 < width <= 2**16 and channels in (1, 3)):
            raise ValueError(f"images of {height} x {width} x {channels}")
        model = {**document["model"], **{part: dict(document["model"][part]) for part in ("data", "training")}}
        return plan, Origin(names, (height, width, channels), model, dict(document["versions"]))
    except (KeyError, TypeError, ValueError) as error:
        raise SynthgenError(f"{place} does not describe its samples ({error})") from error


class _Plan(Protocol):
    def to_dict(self) -> dict[str, Any]: ...


def check_same_plan(document: dict[str, Any], plan: _Plan, out: str) -> None:
    """Refuse to go on with another plan than the one that began a set. Raises UsageError naming what differs."""
    changes = differences(document["plan"], plan.to_dict())
    if changes:
        raise UsageError(
            f"{out} was begun with another plan ({changes})",
            "resume with the same settings, or give another --out",
        )


__all__ = ["MANIFEST", "SHARD_KIND", "Origin", "check_same_plan", "describe", "origin_of", "parse", "plan_and_origin"]
