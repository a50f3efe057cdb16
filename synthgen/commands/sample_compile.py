"""`synthgen sample --compile` and `--block-size`: what is chosen, and how it is said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from synthgen.commands.sample_request import Request
from synthgen.console import Console

if TYPE_CHECKING:
    from synthgen.generation.engine import Recipe
    from synthgen.generation.model import Model


def as_it_runs_best(
    console: Console,
    model: Model,
    recipe: Recipe,
    request: Request,
    mode: str | None,
    block_size: int | None,
    *,
    force: bool,
    dry_run: bool,
) -> Recipe:
    """The recipe with `block_size` and `compiled` chosen; a set that is there already is gone on with as it began."""
    begun = None if force else _begun(request.out)
    if block_size is None:
        recipe = _with_block(console, model, recipe, request, begun)
    return _with_compilation(console, model, recipe, request, mode, begun, dry_run=dry_run)


def _with_block(
    console: Console, model: Model, recipe: Recipe, request: Request, begun: dict[str, Any] | None
) -> Recipe:
    from synthgen.generation.blocks import fitting_block

    if begun is not None:
        size = begun.get("block_size")
        return replace(recipe, block_size=size) if type(size) is int and size >= 1 else recipe
    if request.part.total != 1:  # all processes of a set must choose alike without asking
        return recipe
    of_shard = request.shard_size or request.count // (request.shards or 1)
    size = fitting_block(model, recipe, of_shard)
    if size != recipe.block_size:
        console.note(f"blocks of {size:,} samples, by the memory of {model.device} (--block-size)")
    return replace(recipe, block_size=size)


def _with_compilation(
    console: Console,
    model: Model,
    recipe: Recipe,
    request: Request,
    mode: str | None,
    begun: dict[str, Any] | None,
    *,
    dry_run: bool,
) -> Recipe:
    from synthgen.generation.compiling import choose

    engine = model.engine(recipe)
    shared = request.part.total != 1
    before = None if begun is None else bool(begun.get("compiled", False))
    choice = choose(mode or "auto", engine, request.count, begun=before, shared=shared)
    if choice.notable or dry_run or mode is not None:
        console.note(f"network {choice.reason}")
    return replace(recipe, compiled=choice.compiled)


def _begun(out: str) -> dict[str, Any] | None:
    """The recipe of the set at `out`, as its manifest has it; None where there is none."""
    from synthgen.data.classes import MANIFEST
    from synthgen.generation.manifest import parse
    from synthgen.generation.storage import open_store, read

    store = open_store(out)
    held = read(store, MANIFEST)
    if held is None:
        return None
    recipe = parse(held, f"{store.url}/{MANIFEST}")["plan"].get("recipe")
    return recipe if isinstance(recipe, dict) else {}
