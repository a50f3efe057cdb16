"""YAML to plain values, with the place of every key and value: YAML 1.2's core schema, and nothing that runs.

`1e-4` is a number; `yes`, `on` and `2024-01-01` are text (PyYAML alone follows YAML 1.1 here). Duplicate
keys, tags and aliases are refused: a small file cannot grow into a large value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from synthgen.config.problems import ConfigError, Place, Problem

MAX_BYTES = 1_000_000
MAX_DEPTH = 24

Keys = tuple[str | int, ...]
"""Where a value stands in the document: ("model", "channels", 0)."""

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS = {
    word: value
    for value, words in [
        (None, ("", "~", "null", "Null", "NULL")),
        (True, ("true", "True", "TRUE")),
        (False, ("false", "False", "FALSE")),
        (float("inf"), (".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF")),
        (float("-inf"), ("-.inf", "-.Inf", "-.INF")),
        (float("nan"), (".nan", ".NaN", ".NAN")),
    ]
    for word in words
}


def scalar(text: str) -> bool | int | float | str | None:
    """The value of a plain (unquoted) scalar by YAML 1.2, section 10.3.2 (the core schema)."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


@dataclass
class Document:
    """A read document. places: of each value; key_places: of each key; problems: what could be read past."""

    value: Any = None
    places: dict[Keys, Place] = field(default_factory=dict)
    key_places: dict[Keys, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class _Loader(yaml.SafeLoader):
    """SafeLoader's scanner and parser; no aliases, bounded depth. Its constructors are not used."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refuse(event, "aliases are not supported; write the value out")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _refuse(event, f"nested more than {MAX_DEPTH} levels deep")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _RefusedError(yaml.MarkedYAMLError):
    """Valid YAML that no configuration needs."""


def _refuse(event: Any, problem: str) -> _RefusedError:
    return _RefusedError(None, None, problem, event.start_mark)


def read_yaml(text: str, name: str, *, on_command_line: bool = False) -> Document:
    """Read one YAML document. Raises ConfigError for a syntax error, with its place.

    name: of the file in messages; on_command_line: the text is a value from there, which has no lines.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError([Problem(Place(name), f"larger than {MAX_BYTES // 1_000_000} MB: not a configuration")])
    reader = _Reader(name, [] if on_command_line else text.splitlines())
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        place = reader.place(error.problem_mark or error.context_mark)
        raise ConfigError([Problem(place, _syntax(error))]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        place = Place(name, 0 if on_command_line else line, 1)
        raise ConfigError([Problem(place, f"a character that YAML does not allow: {error.character!r}")]) from None
    if node is not None:
        reader.document.value = reader.convert(node, ())
    return reader.document


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or error.context or "cannot be read"
    if "'\\t'" in problem:
        problem = "a tab; YAML is indented with spaces"
    return problem if isinstance(error, _RefusedError) else f"not valid YAML: {problem}"


class _Reader:
    """Turns nodes into values and remembers their places."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name, self.lines = name, lines
        self.document = Document()

    def place(self, mark: Any, end: Any = None) -> Place:
        if mark is None or not self.lines:
            return Place(self.name)
        line = min(mark.line, len(self.lines) - 1)
        length = end.column - mark.column if end is not None and end.line == mark.line else 1
        return Place(self.name, line + 1, mark.column + 1, max(1, length), self.lines[line])

    def convert(self, node: yaml.Node, path: Keys) -> Any:
        self.document.places[path] = self.place(node.start_mark, node.end_mark)
        if node.tag not in _TAGS:
            self._problem(node, f"the tag '{node.tag}' is not supported")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.convert(entry, (*path, index)) for index, entry in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return node.value if node.style is not None else scalar(node.value)

    def _mapping(self, node: yaml.MappingNode, path: Keys) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, "a key must be a word")
                continue
            key = str(key_node.value)
            if key in result:
                first = self.document.key_places[(*path, key)]
                where = f"first on line {first.line}" if first.line else "given twice"
                self._problem(key_node, f"duplicate key '{'.'.join(map(str, (*path, key)))}' ({where})")
                continue
            self.document.key_places[(*path, key)] = self.place(key_node.start_mark, key_node.end_mark)
            result[key] = self.convert(value_node, (*path, key))
        return result

    def _problem(self, node: yaml.Node, message: str) -> None:
        self.document.problems.append(Problem(self.place(node.start_mark, node.end_mark), message))


_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq")}

# The loader resolves nothing itself: every plain scalar arrives as text, and `scalar` decides.
_Loader.yaml_implicit_resolvers = {}
