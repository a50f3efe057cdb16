"""The trained model that a run starts from, as its settings name it: to be tuned, or to be distilled.

Imports nothing heavy: settings are settled before torch is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from synthgen.config.loading import load_config
from synthgen.config.modalities import AnyConfig, parse_config
from synthgen.config.schema import Config, StartConfig
from synthgen.errors import SynthgenError, UsageError
from synthgen.runs import peek, resolve_run


def name_of(path: Path) -> str:
    """What people call a checkpoint: its run folder, or the file itself where there is none."""
    return path.parent.parent.name if path.parent.name == "checkpoints" else path.stem


def header_of(path: Path) -> dict[str, Any]:
    """The header of a model, not verified yet: loading its weights does that."""
    header = peek(path)[0]
    if header.get("kind") == "model" and isinstance(header.get("config"), dict):
        return header
    from synthgen.checkpoints import load_checkpoint  # which says what is wrong with it

    return load_checkpoint(path)[0]


def settings_of(path: Path, header: Mapping[str, Any]) -> AnyConfig:
    """The settings in the header of the model at `path`. Raises SynthgenError for what is none."""
    try:
        return parse_config(header["config"])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise SynthgenError(
            f"the header of {path} is not one that this synthgen understands: config."
            f"{'.'.join(map(str, first['loc']))}: {first['msg']}",
            "the file was made by another version (update synthgen) or altered (copy it again)",
        ) from error


def started_settings(
    start: str | Path,
    source: str | Path | None,
    overrides: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
) -> AnyConfig:
    """The settings of `source`, with network and noise process of the run `start`, whose weights are to be taken.

    source, overrides, flags: as `load_config` takes them; the latter two may change the network again. A `source` that
    started from this checkpoint before is taken as it is: that run is resumed.
    Raises: UsageError for a model that is not of images, and for a source that is not either, or distils another one.
    """
    path = resolve_run(start)
    header = header_of(path)
    theirs = settings_of(path, header)
    base = load_config(source)
    for config, place in ((theirs, path), (base, source)):
        if not isinstance(config, Config):
            raise UsageError(
                f"{place} is for {config.modality}; only models of images can be started from a trained one",
                "leave out --from",
            )
    assert isinstance(base, Config) and isinstance(theirs, Config)
    if base.distill is not None:
        raise UsageError(
            f"{source} distils {base.distill.teacher or 'a trained model'}, which is what it starts from",
            "leave out --from, or name another configuration",
        )
    origin = StartConfig(model=name_of(path), sha256=header["sha256"])
    if base.start is None or base.start.sha256 != origin.sha256:  # whatever the run is called by now
        base = base.model_copy(update={"model": theirs.model, "diffusion": theirs.diffusion, "start": origin})
    return load_config(base, overrides, flags)
