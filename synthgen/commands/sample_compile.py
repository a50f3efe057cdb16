"""`synthgen sample --compile`: what is chosen, and how it is said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from synthgen.commands.sample_request import Request
from synthgen.console import Console

if TYPE_CHECKING:
    from synthgen.generation.engine import Recipe
    from synthgen.generation.model import Model


def with_compilation(
    console: Console, model: Model, recipe: Recipe, request: Request, mode: str | None, *, force: bool, dry_run: bool
) -> Recipe:
    """The recipe with `compiled` chosen; a set that is there already is gone on with as it began."""
    from synthgen.generation.compiling import choose

    engine = model.engine(recipe)
    shared = request.part.total != 1
    choice = choose(mode or "auto", engine, request.count, begun=None if force else _begun(request.out), shared=shared)
    if choice.notable or dry_run or mode is not None:
        console.note(f"network {choice.reason}")
    return replace(recipe, compiled=choice.compiled)


def _begun(out: str) -> bool | None:
    """Whether the set at `out` is made with a compiled network; None where none is."""
    from synthgen.data.classes import MANIFEST
    from synthgen.generation.manifest import parse
    from synthgen.generation.storage import open_store, read

    store = open_store(out)
    held = read(store, MANIFEST)
    if held is None:
        return None
    recipe = parse(held, f"{store.url}/{MANIFEST}")["plan"].get("recipe")
    return bool(isinstance(recipe, dict) and recipe.get("compiled", False))
