"""The walls of the house: what may import what, and what may never be used. Read from the source, not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "synthgen"
SOURCES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"torch", "torchvision", "diffusers", "numpy", "PIL", "yaml", "pandas", "scipy", "sklearn", "rich", "pydantic"}

FLOORS = [
    {"errors", "reporting", "stopping", "rendering", "devices", "outputs", "config", "html"},
    {"checkpoints", "diffusion", "models", "data"},
    {
        "training",
        "generation",
        "evaluation",
        "downstream",
        "explain",
        "export",
        "runs",
        "diagnosis",
        "history",
        "history_page",
    },
    {"quickstart", "api", "serving", "dashboard"},
    {"console", "commands", "cli"},
]
"""Imports run downwards: a room sees its own floor and those before it."""


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    found = [index for index, names in enumerate(FLOORS) if name in names]
    assert found, f"{name} is new: say in FLOORS what it may import"
    return found[0]


def imports(path: Path, *, top_only: bool = False) -> Iterator[tuple[int, str]]:
    """(line, module) of each import, leaving out those for type checkers; top_only: what importing runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            todo += node.orelse
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the whole name"
            yield node.lineno, node.module or ""
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif not (top_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))):
            todo += ast.iter_child_nodes(node)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downwards(path: Path) -> None:
    name = room(path)
    if name in ("__init__", "__main__"):
        return
    for line, module in imports(path):
        parts = module.split(".")
        if parts[0] == "synthgen" and parts[1:2] not in ([], ["__version__"]):
            assert floor(parts[1]) <= floor(name), f"{path.name}:{line}: {name} may not import {parts[1]}"


LIGHT = ["cli.py", "errors.py", "reporting.py", "stopping.py", "outputs.py", "__init__.py", "__main__.py"]


@pytest.mark.parametrize(
    "path",
    [PACKAGE / name for name in LIGHT]
    + sorted((PACKAGE / "commands").glob("*.py"))
    + sorted((PACKAGE / "console").glob("*.py")),
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_commands_import_nothing_heavy_at_the_top(path: Path) -> None:
    for line, module in imports(path, top_only=True):
        assert module.split(".")[0] not in HEAVY, f"{path.name}:{line}: import {module} where it is used"


BANNED_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
BANNED_CALLS = {
    "torch.load",
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.unsafe_load",
    "eval",
    "exec",
    "os.system",
}
BANNED_ARGUMENTS = {("allow_pickle", True), ("weights_only", False), ("shell", True)}


PERMITTED = {
    # Published as .pth only: read when its sha256 is that of the published file. Nothing else may come from a pickle.
    "evaluation/inception.py": {"calls torch.load"},
}


def unsafe(path: Path) -> Iterator[str]:
    for line, module in imports(path):
        if module.split(".")[0] in BANNED_MODULES:
            yield f"{path.name}:{line}: imports {module}"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        if ast.unparse(node.func) in BANNED_CALLS:
            yield f"{path.name}:{node.lineno}: calls {ast.unparse(node.func)}"
        for argument in node.keywords:
            value = argument.value.value if isinstance(argument.value, ast.Constant) else None
            if (argument.arg, value) in BANNED_ARGUMENTS:
                yield f"{path.name}:{node.lineno}: {argument.arg}={value}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_read_can_run(path: Path) -> None:
    permitted = PERMITTED.get(path.relative_to(PACKAGE).as_posix(), set())
    assert [text for text in unsafe(path) if text.split(": ")[1] not in permitted] == []


def test_the_ban_bites(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(
        "import pickle\ntorch.load(x)\nnp.load(x, allow_pickle=True)\ndef f():\n    from joblib import load\n"
    )
    assert len(set(unsafe(path))) == 5  # joblib counts as the module and as the name
