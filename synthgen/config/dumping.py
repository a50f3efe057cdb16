"""A configuration as YAML that reads back to the same configuration, and as a JSON schema for editors."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from synthgen.config.modalities import CONFIGS, AnyConfig
from synthgen.config.yaml_reader import scalar

_PLAIN = re.compile(r"(?:[A-Za-z_/]|\.{1,2}/)[A-Za-z0-9_./+-]*|\d+[hms](?:\d+[ms])*")
"""Strings that need no quotes in YAML 1.2 or 1.1: words, paths, durations."""

_YAML_1_1_WORDS = {"y", "n", "yes", "no", "on", "off"}  # text to us, booleans to older readers
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def dump_config(config: AnyConfig, *, comments: bool = False, changed_only: bool = False) -> str:
    """YAML text of a configuration.

    comments: each key with its meaning behind it; changed_only: leave out what equals the default.
    `load_config` reads every such text back to an equal configuration.
    """
    lines = _group(config, 0, comments, changed_only)
    return "\n".join(lines) + "\n" if lines else "{}\n"


def config_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a configuration file, for completion and checks in editors."""
    from pydantic import TypeAdapter

    both = TypeAdapter(AnyConfig).json_schema()
    # A file that names no modality is one of images: only one of the two may then match, or editors offer both.
    for modality, config in CONFIGS.items():
        if modality != "images":
            both["$defs"][config.__name__]["required"] = ["modality"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **both,
        "title": "synthgen configuration",
    }


def _group(model: BaseModel, depth: int, comments: bool, changed_only: bool) -> list[str]:
    margin = "  " * depth
    entries: list[tuple[str, str]] = []
    lines: list[str] = []
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if changed_only and value == field.get_default(call_default_factory=True):
            continue
        if isinstance(value, BaseModel):
            inner = _group(value, depth + 1, comments, changed_only)
            lines += [*_aligned(entries), f"{margin}{name}:", *inner]
            entries = []
        else:
            entries.append((f"{margin}{name}: {_value(value)}", (field.description or "") if comments else ""))
    return lines + _aligned(entries)


def _aligned(entries: list[tuple[str, str]]) -> list[str]:
    """Lines with their comments in one column."""
    width = min(34, max((len(line) for line, _ in entries), default=0))
    return [f"{line:{width}}  # {comment}" if comment else line for line, comment in entries]


def _value(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(_value(entry) for entry in value)}]"
    if isinstance(value, BaseModel):  # in a list or a mapping: only what was said
        value = value.model_dump(exclude_defaults=True)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(str(key))}: {_value(entry)}" for key, entry in value.items()) + "}"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        short = f"{value:g}"  # 1e+09 rather than 1000000000.0
        return short if "e" in short and float(short) == value else repr(value)
    return _text(value) if isinstance(value, str) else repr(value)


def _text(text: str) -> str:
    """A string, bare where YAML 1.2 reads it as the same string, else in double quotes."""
    if _PLAIN.fullmatch(text) and scalar(text) == text and text.lower() not in _YAML_1_1_WORDS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(sign: str) -> str:
    if sign in _ESCAPES:
        return _ESCAPES[sign]
    return sign if sign.isprintable() else f"\\U{ord(sign):08x}"
