"""What pydantic found, as problems with places, in words for people, with the nearest right spelling."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from synthgen.config.modalities import CONFIGS, config_class
from synthgen.config.problems import Place, Problem
from synthgen.config.schema import Config
from synthgen.config.wording import reword
from synthgen.config.yaml_reader import Document, Keys
from synthgen.errors import nearest


def fields(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key with its field, groups before their members: `model`, `model.channels`, ..."""
    for name, field in model.model_fields.items():
        yield prefix + name, field
        group = group_of(field)
        if group is not None:
            yield from fields(group, f"{prefix}{name}.")


def group_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a group of settings, perhaps left out, else None."""
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    alone = kinds[0] if len(kinds) == 1 else None
    return alone if isinstance(alone, type) and issubclass(alone, BaseModel) else None


@lru_cache
def known_groups() -> frozenset[str]:
    """The keys that hold further keys in any modality: `data`, `data.augment`, `model`, ..."""
    return frozenset(key for config in CONFIGS.values() for key, field in fields(config) if group_of(field) is not None)


def validation_problems(error: ValidationError, document: Document) -> list[Problem]:
    """Each mistake once, at the place where its value was written."""
    found: dict[tuple[str, Keys], list[dict[str, Any]]] = {}
    for item in error.errors(include_url=False):
        path: Keys = tuple(item["loc"])
        while path and path not in document.places:
            path = path[:-1]  # the tail names a branch of a union, or a default
        found.setdefault((item["type"] if item["type"] == "extra_forbidden" else "", path), []).append(dict(item))
    problems = []
    for (kind, path), items in found.items():
        if kind == "extra_forbidden":
            place = document.key_places.get(path, Place("configuration"))
            problems.append(Problem(place, _unknown_key(path, config_class(document.value.get("modality")))))
        else:
            problems.append(_wrong_value(path, items, document))
    return problems


def _unknown_key(path: Keys, config: type[BaseModel]) -> str:
    """Name the nearest key: a sibling, else the same name in another group, else anything alike."""
    key = ".".join(map(str, path))
    group = key.rpartition(".")[0]
    keys = [name for name, _ in fields(config)]
    close = nearest(key, [name for name in keys if name.rpartition(".")[0] == group])
    if not close:
        moved = [name for name in keys if name.rpartition(".")[2] == path[-1]]
        close = f" (did you mean '{moved[0]}'?)" if moved else nearest(key, keys)
    return f"unknown key '{key}'{close}"


def _wrong_value(path: Keys, items: list[dict[str, Any]], document: Document) -> Problem:
    key = f"'{'.'.join(part for part in path if isinstance(part, str))}'"
    key += "".join(f" (entry {part + 1})" for part in path if isinstance(part, int))
    messages = list(dict.fromkeys(_message(item) for item in items))
    place = document.places.get(path, Place("configuration"))
    if not messages[0].startswith("must "):
        place = _culprit(path, messages[0], document) or place
        return Problem(place, messages[0] if place.is_flag else f"{key}: {messages[0]}")
    given = items[0]["input"]
    reason = messages[0] + "".join(f", or {text.removeprefix('must ').removeprefix('be ')}" for text in messages[1:])
    close = _nearest_choice(given, messages[0])
    subject = "" if place.is_flag else f"{key} "
    return Problem(place, f"{subject}{reason}, not {_shown(given)}{close}")


def _message(item: dict[str, Any]) -> str:
    if item["type"] == "missing" and isinstance(item["loc"][-1], int):
        return f"must have at least {item['loc'][-1] + 1} entries"
    return reword(item["msg"])


def _culprit(path: Keys, message: str, document: Document) -> Place | None:
    """Of a message about a whole group, the place of the last written key that it names."""
    named = set(re.findall(r"\w+", message))
    places = [at for keys, at in document.places.items() if keys[:-1] == path and keys[-1:] and keys[-1] in named]
    return places[-1] if places else None


def _nearest_choice(given: Any, message: str) -> str:
    return nearest(given, re.findall(r"'([^']+)'", message)) if isinstance(given, str) else ""


def _shown(value: Any) -> str:
    """A wrong value as it was written, shortened."""
    if isinstance(value, str):
        text = f"'{value}'"
    elif isinstance(value, bool) or value is None:
        text = {True: "true", False: "false", None: "null"}[value]
    elif isinstance(value, dict):
        text = "a group"
    else:
        text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
