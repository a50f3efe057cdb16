"""Where synthetic data comes from in the experiment, whatever it is: given, or made by a generator trained for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from synthgen.checkpoints import read_header
from synthgen.config.modalities import AnyConfig
from synthgen.errors import UsageError
from synthgen.runs import list_checkpoints


class Asked(Protocol):
    """What the requests on images and on tables have in common; see `synthgen.downstream.protocol.Request`."""

    @property
    def synthetic(self) -> tuple[str, ...]: ...

    @property
    def train_generator(self) -> str | None: ...

    @property
    def budget(self) -> str | None: ...

    @property
    def overrides(self) -> tuple[str, ...]: ...

    @property
    def real_sizes(self) -> tuple[int | None, ...]: ...

    @property
    def imbalance(self) -> Any: ...

    @property
    def design(self) -> Any: ...

    @property
    def out(self) -> Path | None: ...


def check_asked(request: Asked) -> None:
    """Raise UsageError for what cannot work, before anything is loaded."""
    if bool(request.synthetic) == bool(request.train_generator):
        raise UsageError(
            "give either --synthetic or --train-generator" if request.synthetic else "nothing to augment with",
            None if request.synthetic else "give --synthetic SOURCE|RUN, or --train-generator PRESET|CONFIG",
        )
    if request.synthetic and len(request.synthetic) not in (1, len(request.real_sizes)):
        raise UsageError(
            f"{len(request.synthetic)} --synthetic for {len(request.real_sizes)} real sizes",
            "give one for all sizes, or one for each in the same order",
        )
    if request.train_generator and request.out is None:
        raise UsageError("--train-generator needs --out: the generator and its samples are kept there")
    if not request.train_generator and (request.budget or request.overrides):
        raise UsageError("--budget and --set are those of --train-generator, which was not given")
    if request.imbalance is not None and request.design.ratios != (None,):
        raise UsageError("--ratio and --imbalance do not go together: rare classes are filled up, no more and no less")


def is_finished(run: Path, config: AnyConfig, fingerprint: str) -> bool:
    """Whether a run's newest checkpoint is the end of a training with this config on the data of this fingerprint."""
    found = list_checkpoints(run)
    if not found:
        return False
    header = read_header(found[0])
    same = header["config"] == config.model_dump(mode="json") and header["data"]["fingerprint"] == fingerprint
    return same and bool(header["training"]["finished"])
