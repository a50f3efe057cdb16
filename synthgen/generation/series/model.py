"""A trained model of series in the hand: sequences of any length, with conditions; sequences completed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from synthgen.checkpoints import Header, Tensors
from synthgen.config.series import SeriesConfig
from synthgen.errors import UsageError, nearest
from synthgen.generation.series.completing import KnownSeries, known_series
from synthgen.generation.series.drawn import Drawn, join_drawn
from synthgen.generation.series.engine import SeriesEngine, SeriesRecipe, recipe_of
from synthgen.generation.series.headers import build_codec, build_denoiser, parse_header
from synthgen.generation.series.requests import FreeRequest, Where
from synthgen.generation.series.running import check_count, completed, poll
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    import pandas as pd

    from synthgen.data.series.codec import SeriesCodec
    from synthgen.data.series.schema import SeriesSchema
    from synthgen.diffusion.series import SeriesDenoiser

Labels = int | str | Sequence[int | str]


class SeriesModel:
    """A checkpoint of series, loaded on a device. See `synthgen.generation.model.load`.

    schema: the columns and their parts. codec: between steps and windows. denoiser: the process and its network.
    """

    modality = "series"

    def __init__(
        self, path: Path, header: Header, denoiser: SeriesDenoiser, codec: SeriesCodec, device: torch.device
    ) -> None:
        self.path, self.header = path, header
        self.denoiser, self.codec, self.device = denoiser, codec, device
        self.config = SeriesConfig.model_validate(header["config"])
        self.schema: SeriesSchema = codec.schema
        self._engine = lru_cache(maxsize=4)(self._build_engine)

    @classmethod
    def from_parts(cls, path: Path, header: Header, tensors: Tensors, device: torch.device) -> SeriesModel:
        """From what a checkpoint holds. Raises SynthgenError when its parts do not fit together."""
        checked = parse_header(path, header)
        codec = build_codec(path, checked, tensors)
        return cls(path, header, build_denoiser(path, checked, codec, tensors, device), codec, device)

    @property
    def sha256(self) -> str:
        """Hash of weights, codec and header: what a sequence depends on beside the request."""
        return str(self.header["sha256"])

    @property
    def precision(self) -> str:
        return str(self.denoiser.precision).removeprefix("torch.")

    @property
    def window(self) -> int:
        """Steps that are drawn together."""
        return self.codec.window

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.codec.classes

    def recipe(
        self,
        *,
        sampler: str | None = None,
        steps: int | None = None,
        eta: float | None = None,
        guidance_scale: float | None = None,
        block_size: int | None = None,
    ) -> SeriesRecipe:
        """The model's own recipe with the given parts replaced. Raises UsageError for what cannot be."""
        given = {"sampler": sampler, "steps": steps, "eta": eta, "guidance_scale": guidance_scale}
        given["block_size"] = block_size
        recipe = replace(recipe_of(self.config.sampling), **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
        if recipe.sampler == "consistency":
            raise UsageError("sampler 'consistency' is for distilled models of images", "choose another sampler")
        if not 1 <= recipe.steps <= 10_000:
            raise UsageError(f"a sampler needs between 1 and 10,000 steps, not {recipe.steps:,}")
        if not np.isfinite(recipe.guidance_scale) or recipe.guidance_scale < 0:
            raise UsageError(f"the guidance scale must be 0 or more, not {recipe.guidance_scale:g}")
        if recipe.guidance_scale != 1.0 and not self.class_names:
            raise UsageError("this model knows no classes: there is nothing to guide towards", "leave out the guidance")
        self.engine(recipe)  # the sampler says what it does not understand
        return recipe

    def engine(self, recipe: SeriesRecipe | None = None) -> SeriesEngine:
        """The engine of a recipe (by default the model's own), kept for the next call."""
        return self._engine(recipe or recipe_of(self.config.sampling))

    def _build_engine(self, recipe: SeriesRecipe) -> SeriesEngine:
        return SeriesEngine(self.denoiser, self.window, self.codec.dimensions, recipe, self.device)

    def class_codes(self, labels: Labels | None) -> tuple[int, ...]:
        """The places of classes given by name or place in `class_names`; () for none. Raises UsageError."""
        wanted = [labels] if isinstance(labels, (int, str, np.integer)) else list(() if labels is None else labels)
        return tuple(self._class_code(label) for label in wanted)

    def _class_code(self, label: int | str) -> int:
        names, text = self.class_names, str(label)
        if not names:
            raise UsageError(
                "this model knows no classes", "leave out the class, or train with data.label naming their column"
            )
        if isinstance(label, str) and label in names:
            code = names.index(label)
        elif text.isascii() and text.isdigit() and int(text) < len(names):
            code = int(text)
        else:
            known = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
            raise UsageError(f"unknown class '{label}'{nearest(text, names)}", f"this model knows: {known}")
        if not (self.codec.beginnings.classes == code).any():
            raise UsageError(f"the class '{names[code]}' was not in the training part of the data")
        return code

    def blocks(
        self,
        request: FreeRequest | KnownSeries,
        recipe: SeriesRecipe,
        seed: int,
        start: int,
        stop: int,
        *,
        arrays: bool = False,
    ) -> Iterator[Drawn]:
        """Sequences start ... stop - 1, at most a block at a time, in order. arrays: as arrays, not as rows."""
        engine = self.engine(recipe)
        if isinstance(request, KnownSeries):
            yield from completed(engine, request, seed, start, stop, arrays)
            return

        def block(keys: np.ndarray) -> Drawn:
            return request.drawn(request.make(engine, keys, seed), keys, seed, arrays=arrays)

        for first, last, drawn in engine.span(start, stop, request.together(engine), block):
            yield drawn[first:last]

    def sample(
        self,
        count: int,
        *,
        seed: int = 0,
        start: int = 0,
        labels: Labels | None = None,
        where: Where = (),
        length: int | None = None,
        start_time: object | None = None,
        sampler: str | None = None,
        steps: int | None = None,
        eta: float | None = None,
        guidance_scale: float | None = None,
        reporter: Reporter | None = None,
        should_stop: ShouldStop = never_stop,
    ) -> np.ndarray:
        """Sequences number start ... start + count - 1: float64 (count, L, C), the channels in the data's units.

        NaN where missing and beyond the end of a short one; categories and booleans as codes, places in
        `synthgen.data.series.levels.levels_of` their column.

        Args:
            labels: a class, by name or place, or several that take turns; None: as often as in the data.
            where: static covariates, texts as on the command line (`["site=north", "age=30..40"]`), or by name a value,
                a list of values, a (low, high) tuple, or None for missing.
            length: steps L; None: those of the windows that were learned. A longer sequence goes on from window to
                window. start_time: of the first step, which the calendar follows from.
            sampler, steps, eta, guidance_scale: instead of the model's own.

        Sequence k depends on the checkpoint, the request, the seed and k alone. Raises UsageError, StoppedError.
        """
        recipe = self.recipe(sampler=sampler, steps=steps, eta=eta, guidance_scale=guidance_scale)
        request = FreeRequest(self, () if labels is None else labels, where, length, start_time)
        check_count(count, start)
        engine = self.engine(recipe)

        def block(keys: np.ndarray) -> np.ndarray:
            made = request.make(engine, keys, seed)
            return self.codec.arrays(made.x, made.lengths)

        values = np.empty((count, request.longest, len(self.schema.channels)))
        done = 0
        with (reporter or NullReporter()).progress("sampling", count, "sequences") as progress:
            for first, last, part in engine.span(start, start + count, request.together(engine), block):
                values[done : done + last - first] = part[first:last]
                done += last - first
                progress.update(done)
                poll(should_stop, done, count)
        return values

    def sample_frame(
        self,
        count: int,
        *,
        seed: int = 0,
        start: int = 0,
        labels: Labels | None = None,
        where: Where = (),
        length: int | None = None,
        start_time: object | None = None,
        sampler: str | None = None,
        steps: int | None = None,
        eta: float | None = None,
        guidance_scale: float | None = None,
        reporter: Reporter | None = None,
        should_stop: ShouldStop = never_stop,
    ) -> pd.DataFrame:
        """The sequences of `sample`, with the columns, order and dtypes that the data had: one row for each step.

        Several sequences of data without ids are told apart by a column `sequence`.
        """
        recipe = self.recipe(sampler=sampler, steps=steps, eta=eta, guidance_scale=guidance_scale)
        check_count(count, start)
        request = FreeRequest(
            self, () if labels is None else labels, where, length, start_time, numbered=count > 1 or start > 0
        )
        blocks = self.blocks(request, recipe, seed, start, start + count)
        return self._gathered(blocks, request, count, reporter, should_stop)

    def complete(
        self,
        frame: pd.DataFrame,
        *,
        draws: int = 1,
        quantiles: Sequence[float] = (),
        allow_missing: bool = False,
        length: int | None = None,
        seed: int = 0,
        sampler: str | None = None,
        steps: int | None = None,
        eta: float | None = None,
        guidance_scale: float | None = None,
        reporter: Reporter | None = None,
        should_stop: ShouldStop = never_stop,
    ) -> pd.DataFrame:
        """The sequences of `frame` with their missing cells drawn given the others; steps may be forecast.

        Args:
            frame: any of the columns; with times where the data had them. Cells that are not missing stay as they are;
                rows with a time and nothing else are forecast. Steps that are not there are added where times go on at
                an interval.
            draws: completions of each sequence; several are told apart by a column `draw`, and lie as far apart in the
                gaps of a long recording as its own known cells demand (`synthgen.generation.series.spreading`).
            quantiles: of the draws in each cell, written instead of them and told apart by a column `quantile`.
            allow_missing: drawn cells may be missing, as often as in the data; else they never are.
            length: steps in all that each sequence is to have at least: those beyond its end are forecast.

        Completion m of sequence i depends on the checkpoint, the seed, i, m, the frame and whether there are several
        alone, but for the last bits of its numbers, which go by how many there are. Raises UsageError.
        """
        recipe = self.recipe(sampler=sampler, steps=steps, eta=eta, guidance_scale=guidance_scale)
        known = known_series(self, frame, draws, tuple(sorted(quantiles)), allow_missing, length)
        blocks = self.blocks(known, recipe, seed, 0, known.count)
        return self._gathered(blocks, known, known.count, reporter, should_stop)

    def _gathered(
        self,
        blocks: Iterator[Drawn],
        request: FreeRequest | KnownSeries,
        count: int,
        reporter: Reporter | None,
        should_stop: ShouldStop,
    ) -> pd.DataFrame:
        from synthgen.data.tables.writing import restore

        found, done = [], 0
        with (reporter or NullReporter()).progress("sampling", count, "sequences") as progress:
            for drawn in blocks:
                found.append(drawn)
                done += len(drawn)
                progress.update(done)
                poll(should_stop, done, count)
        frame = join_drawn(found).frame
        assert frame is not None
        return restore(frame, request.columns)


def load_series_model(run: str | Path, *, device: str = "auto", reporter: Reporter | None = None) -> SeriesModel:
    """`load` for what works on series alone. Raises UsageError for a model of anything else."""
    from synthgen.generation.model import load

    model = load(run, device=device, reporter=reporter)
    if not isinstance(model, SeriesModel):
        raise UsageError(f"{run} is a model of another kind; a model of series is needed here")
    return model
