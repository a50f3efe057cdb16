"""From a preset or file, `--set` and flags to one checked configuration, or to all that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from synthgen.config.dumping import dump_config
from synthgen.config.modalities import CONFIGS, DEFAULT, AnyConfig
from synthgen.config.presets import preset_names, preset_text
from synthgen.config.problems import ConfigError, Place, Problem
from synthgen.config.schema import LENGTHS
from synthgen.config.validation import known_groups, validation_problems
from synthgen.config.yaml_reader import MAX_BYTES, Document, Keys, read_yaml
from synthgen.errors import UsageError, nearest

__all__ = ["ConfigError", "dump_config", "load_config", "read_source"]

_HINT = "`synthgen config show` prints every setting with its meaning"


def load_config(
    source: str | Path | AnyConfig | None = None,
    overrides: Sequence[str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> AnyConfig:
    """The configuration: defaults < preset or file < overrides < flags.

    source: a preset's name, a YAML file, a run folder (its `config.yaml`), or a configuration; None: the defaults.
    overrides: `key=value` texts of --set, values in YAML, later ones win.
    flags: dotted key to value, as the first-class flags give it; None means that the flag was not given.
    A later layer that sets one of training.budget, steps and epochs lifts the others.
    Raises ConfigError (a UsageError) with every problem and its place, UsageError for an unknown source.
    """
    layers = _Layers()
    if isinstance(source, (str, Path)):
        layers.add(read_source(source))
    elif source is not None:
        layers.add(read_yaml(dump_config(source), "configuration"))
    for text in overrides or ():
        layers.override(text)
    for key, value in (flags or {}).items():
        if value is not None:
            flag = "--" + key.rpartition(".")[2].replace("_", "-")
            layers.put(tuple(key.split(".")), value, Place(flag))
    return layers.validate()


def read_source(source: str | Path) -> Document:
    """Read a preset by name, a YAML file, or the `config.yaml` of a run folder."""
    if isinstance(source, str) and source in preset_names():
        return read_yaml(preset_text(source), f"{source}.yaml")
    path = Path(source)
    if path.is_dir():
        path = path / "config.yaml"
    if not path.is_file():
        raise _unknown_source(source, path)
    if path.stat().st_size > MAX_BYTES:
        size = f"larger than {MAX_BYTES // 1_000_000} MB: not a configuration"
        raise ConfigError([Problem(Place(str(path)), size)])
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(Place(str(path)), f"not UTF-8 text (byte {error.start})")]) from None
    return read_yaml(text, str(path))


def _unknown_source(source: str | Path, path: Path) -> UsageError:
    if Path(source).is_dir():
        hint = f"to learn from the images in a folder: synthgen train --data {source}"
        return UsageError(f"'{source}' is a folder without a config.yaml", hint)
    kind = "no such file" if path.suffix or len(path.parts) > 1 else "no such preset"
    return UsageError(
        f"{kind}: '{source}'{nearest(str(source), preset_names())}",
        hint="`synthgen config list` names the presets",
    )


class _Layers:
    """The values so far with their places, and what is already known to be wrong."""

    def __init__(self) -> None:
        self.merged = Document(value={})

    def add(self, layer: Document) -> None:
        """Put a whole document over what is there."""
        self.merged.problems += layer.problems
        if isinstance(layer.value, dict):
            self._merge(self.merged.value, layer, layer.value, ())
        elif layer.value is not None:
            self.merged.problems.append(Problem(layer.places[()], "must hold `key: value` lines"))

    def override(self, text: str) -> None:
        """Put one `key=value` over what is there."""
        place = Place(f"--set {text}")
        key, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"\w+(\.\w+)*", key.strip()):
            problem = Problem(place, "write it as key=value, e.g. training.batch_size=64")
            self.merged.problems.append(problem)
            return
        try:
            document = read_yaml(value, place.name, on_command_line=True)
        except ConfigError as error:
            self.merged.problems += error.problems
            return
        self.merged.problems += document.problems
        self.put(tuple(key.strip().split(".")), document.value, place)

    def put(self, keys: tuple[str, ...], value: Any, place: Place) -> None:
        """Put one value at a key."""
        for key in reversed(keys):
            value = {key: value}
        layer = Document(value=value)
        for path in _paths(value):
            layer.places[path] = layer.key_places[path] = place
        self.add(layer)

    def _merge(self, into: dict[str, Any], layer: Document, values: dict[str, Any], path: Keys) -> None:
        if path == ("training",) and any(values.get(name) is not None for name in LENGTHS):
            for name in LENGTHS:
                into.pop(name, None)
        for key, value in values.items():
            here = (*path, key)
            if value is None and ".".join(map(str, here)) in known_groups():
                continue  # `model:` with nothing under it
            if isinstance(value, dict):
                if not isinstance(into.get(key), dict):
                    into[key] = {}
                self.merged.places.setdefault(here, layer.places[here])
                self.merged.key_places.setdefault(here, layer.key_places[here])
                self._merge(into[key], layer, value, here)
            else:
                into[key] = value
                self._move(layer, here)

    def _move(self, layer: Document, path: Keys) -> None:
        """Forget where the old value stood and remember where the new one does, with a list's entries."""
        for target, source in (
            (self.merged.places, layer.places),
            (self.merged.key_places, layer.key_places),
        ):
            for old in [known for known in target if known[: len(path)] == path]:
                del target[old]
            target.update({new: place for new, place in source.items() if new[: len(path)] == path})

    def validate(self) -> AnyConfig:
        """The checked configuration. Raises ConfigError with everything that is wrong."""
        problems = self.merged.problems
        modality = self.merged.value.get("modality", DEFAULT)
        if not isinstance(modality, str) or modality not in CONFIGS:  # what its other keys mean cannot be told
            known = " or ".join(f"'{name}'" for name in CONFIGS)
            wrong = f"'modality' must be {known}, not '{modality}'{nearest(str(modality), list(CONFIGS))}"
            raise ConfigError([*problems, Problem(self.merged.places[("modality",)], wrong)], hint=_HINT)
        try:
            config = CONFIGS[modality].model_validate(self.merged.value)
        except ValidationError as error:
            problems = problems + validation_problems(error, self.merged)
        if problems:
            in_order = sorted(
                problems,
                key=lambda problem: (problem.place.line == 0, problem.place.line, problem.place.column),
            )
            raise ConfigError(list(dict.fromkeys(in_order)), hint=_HINT)
        return config


def _paths(value: Any, path: Keys = ()) -> Iterator[Keys]:
    """Every path in a tree of dictionaries and lists, parents first."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from _paths(entry, (*path, key))
