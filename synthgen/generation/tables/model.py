"""A trained model of a table in the hand: rows with conditions, rows completed, what it expects of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from synthgen.checkpoints import Header, Tensors
from synthgen.config.tables import TableConfig
from synthgen.errors import StoppedError, UsageError
from synthgen.generation.noise import uniforms
from synthgen.generation.numerics import pinned
from synthgen.generation.parallel import in_order, one_thread
from synthgen.generation.tables.engine import Given, TableEngine, TableRecipe, recipe_of
from synthgen.generation.tables.headers import build_codec, build_denoiser, parse_header
from synthgen.generation.tables.joining import join_frames
from synthgen.generation.tables.requests import Request, Where, read_request
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    import pandas as pd

    from synthgen.data.tables.codec import TableCodec
    from synthgen.data.tables.schema import TableSchema


class RowRequest(Protocol):
    """What is asked of rows: how a block of them begins, and what becomes of it when it is drawn."""

    def given(self, keys: np.ndarray) -> Given: ...

    def numbers(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers -> (keys, draws) of their random numbers."""

    def decode(self, tokens: np.ndarray, fractions: np.ndarray, keys: np.ndarray, seed: int) -> pd.DataFrame: ...


class TableModel:
    """A checkpoint of a table, loaded on a device. See `synthgen.generation.model.load`.

    schema: the columns of the table. codec: between rows and tokens. denoiser: the process and its network.
    """

    modality = "tables"

    def __init__(self, path: Path, header: Header, denoiser: Any, codec: TableCodec, device: torch.device) -> None:
        self.path, self.header = path, header
        self.denoiser, self.codec, self.device = denoiser, codec, device
        self.config = TableConfig.model_validate(header["config"])
        self.schema: TableSchema = codec.schema
        self._engine = lru_cache(maxsize=4)(self._build_engine)

    @classmethod
    def from_parts(cls, path: Path, header: Header, tensors: Tensors, device: torch.device) -> TableModel:
        """From what a checkpoint holds. Raises SynthgenError when its parts do not fit together."""
        checked = parse_header(path, header)
        codec = build_codec(path, checked, tensors)
        return cls(path, header, build_denoiser(path, checked, codec, tensors, device), codec, device)

    @property
    def sha256(self) -> str:
        """Hash of weights, codec and header: what a row depends on beside the request."""
        return str(self.header["sha256"])

    @property
    def precision(self) -> str:
        return str(self.denoiser.precision).removeprefix("torch.")

    def recipe(
        self, *, steps: int | None = None, temperature: float | None = None, block_size: int | None = None
    ) -> TableRecipe:
        """The model's own recipe with the given parts replaced. Raises UsageError for what cannot be."""
        given = {"steps": steps, "temperature": temperature, "block_size": block_size}
        own = recipe_of(self.config.sampling, len(self.codec.columns))
        recipe = replace(own, **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
        if recipe.steps is not None and recipe.steps < 1:
            raise UsageError(f"a row needs 1 step or more, not {recipe.steps}")
        if not 0 < recipe.temperature <= 10:
            raise UsageError(f"the temperature must be above 0 and at most 10, not {recipe.temperature:g}")
        return recipe

    def engine(self, recipe: TableRecipe | None = None) -> TableEngine:
        """The engine of a recipe (by default the model's own), kept for the next call."""
        return self._engine(recipe or self.recipe())

    def _build_engine(self, recipe: TableRecipe) -> TableEngine:
        return TableEngine(self.denoiser, len(self.codec.columns), recipe, self.device)

    def request(self, where: Where = (), balance: str | None = None) -> Request:
        """Conditions and balance, understood. Raises UsageError naming what is not, or cannot be."""
        if where or balance:
            self.check_masked("conditions and balance")
        return read_request(self.codec, where, balance)

    def check_masked(self, what: str) -> None:
        """Raises UsageError where the model's process cannot keep cells that are known."""
        if self.config.diffusion.process != "masked":
            raise UsageError(
                f"{what} need a model that keeps known cells, and this one was trained with process "
                f"{self.config.diffusion.process}",
                "train with diffusion.process=masked",
            )

    def frames(
        self, request: RowRequest, recipe: TableRecipe, seed: int, start: int, stop: int
    ) -> Iterator[pd.DataFrame]:
        """Rows start ... stop - 1 in the normal form of their columns, in frames of at most a block, in order."""
        engine = self.engine(recipe)

        def block(rows: np.ndarray) -> pd.DataFrame:
            keys, draws = request.numbers(rows)
            tokens, fractions = engine.block(keys, seed, request.given(rows), draws)
            return request.decode(tokens, fractions, rows, seed)

        for first, last, frame in engine.span(start, stop, block):
            yield frame.iloc[first:last].reset_index(drop=True)

    def sample(
        self,
        count: int,
        *,
        seed: int = 0,
        start: int = 0,
        where: Where = (),
        balance: str | None = None,
        steps: int | None = None,
        temperature: float | None = None,
        reporter: Reporter | None = None,
        should_stop: ShouldStop = never_stop,
    ) -> pd.DataFrame:
        """Rows number start ... start + count - 1, with the columns, order and dtypes of the training table.

        Args:
            where: conditions that every row keeps: texts as on the command line (`["age=30..40", "city=Rome|Paris"]`),
                or by column a value, a list of values, a (low, high) tuple, or None for missing.
            balance: a column of categories, truth values or constants whose values take turns: value k % K for row k.
            steps: network evaluations per row; by default one per column. temperature: below 1, likelier values only.

        Row k depends on the checkpoint, the request, the seed and k alone. Raises UsageError, StoppedError.
        """
        if count < 1:
            raise UsageError(f"a count of 1 or more is needed, not {count}")
        if start < 0:
            raise UsageError(f"rows are counted from 0: start cannot be {start}")
        recipe = self.recipe(steps=steps, temperature=temperature)
        request = self.request(where, balance)
        return self._restored(self.frames(request, recipe, seed, start, start + count), count, reporter, should_stop)

    def complete(
        self,
        frame: pd.DataFrame,
        *,
        draws: int = 1,
        allow_missing: bool = False,
        seed: int = 0,
        steps: int | None = None,
        temperature: float | None = None,
        reporter: Reporter | None = None,
        should_stop: ShouldStop = never_stop,
    ) -> pd.DataFrame:
        """The rows of `frame` with their missing cells, and the columns that it lacks, drawn given the others.

        Args:
            frame: any of the table's columns. Cells that are not missing stay as they are.
            draws: completions per row; with more than one, each row comes `draws` times, told apart by a column `draw`.
            allow_missing: drawn cells may be missing, as often as in the data; else they never are.

        Completion m of row i depends on the checkpoint, the seed, i, m and the frame alone. Raises UsageError.
        """
        from synthgen.data.tables.writing import restore
        from synthgen.generation.tables.completing import known_cells

        known = known_cells(self, frame, draws, allow_missing)
        recipe = self.recipe(steps=steps, temperature=temperature)
        frames = self.frames(known, recipe, seed, 0, known.count)
        drawn = self._gather(frames, known.count, reporter, should_stop)
        return known.mark(restore(drawn, self.schema))

    def _restored(
        self, frames: Iterator[pd.DataFrame], count: int, reporter: Reporter | None, should_stop: ShouldStop
    ) -> pd.DataFrame:
        from synthgen.data.tables.writing import restore

        return restore(self._gather(frames, count, reporter, should_stop), self.schema)

    def _gather(
        self, frames: Iterator[pd.DataFrame], count: int, reporter: Reporter | None, should_stop: ShouldStop
    ) -> pd.DataFrame:
        found, done = [], 0
        with (reporter or NullReporter()).progress("sampling", count, "rows") as progress:
            for frame in frames:
                found.append(frame)
                done += len(frame)
                progress.update(done)
                if should_stop() and done < count:
                    raise StoppedError(f"stopped after {done:,} of {count:,} rows")
        return join_frames(found)

    def log_likelihood(self, frame: pd.DataFrame, *, draws: int = 8, seed: int = 0) -> np.ndarray:
        """What the model expected of rows: float64 (N,), in nats, higher is likelier.

        frame: rows with the columns of the training table, in any of its forms. draws: random orders of the columns
        that are averaged; see `MaskedDenoiser.log_likelihood`. A value inside a bin counts by its density over the
        bin, so that the numbers compare rows of one model, not models. Raises UsageError.
        """
        total, _ = self.log_likelihoods(frame, draws=draws, seed=seed)
        return total

    def log_likelihoods(self, frame: pd.DataFrame, *, draws: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """`log_likelihood`, and the parts of it that each of `codec.columns` has: float64 (N,), (N, C)."""
        from synthgen.data.tables.reading import table_from_frame

        if draws < 1:
            raise UsageError(f"1 draw or more is needed, not {draws}")
        self.check_masked("likelihoods")
        tokens, fractions = self.codec.encode(table_from_frame(frame, schema=self.schema).frame)
        size, count = self.recipe().block_size, len(tokens)

        def block(index: int) -> tuple[np.ndarray, np.ndarray]:
            rows = np.minimum(np.arange(index * size, (index + 1) * size), count - 1)
            orders = [uniforms(seed, rows, tokens.shape[1], draw) for draw in range(draws)]
            parts = (tokens[rows], fractions[rows], np.concatenate(orders, axis=1))
            with torch.inference_mode(), one_thread(self.device), pinned(self.device):
                sums, cells = self.denoiser.log_likelihood(*(torch.from_numpy(p).to(self.device) for p in parts), draws)
            return sums.double().cpu().numpy(), cells.double().cpu().numpy()

        found = list(in_order(block, -(-count // size), self.device))
        return np.concatenate([one for one, _ in found])[:count], np.concatenate([one for _, one in found])[:count]


def load_table_model(run: str | Path, *, device: str = "auto", reporter: Reporter | None = None) -> TableModel:
    """`load` for what works on tables alone. Raises UsageError for a model of anything else."""
    from synthgen.generation.model import load

    model = load(run, device=device, reporter=reporter)
    if not isinstance(model, TableModel):
        raise UsageError(f"{run} is a model of {model.header['modality']}; a model of a table is needed here")
    return model
