"""What the service makes from a model of series."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from synthgen.errors import StoppedError
from synthgen.generation.series.drawn import Drawn, join_drawn
from synthgen.generation.series.engine import SeriesRecipe
from synthgen.generation.series.model import SeriesModel
from synthgen.generation.series.requests import FreeRequest
from synthgen.serving.makers import Answer, json_columns, lines, pieces
from synthgen.serving.wishes import SeriesWish, Wish
from synthgen.stopping import ShouldStop, never_stop


class SeriesMaker:
    """Sequences of a model, as `synthgen sample` writes them."""

    def __init__(self, model: SeriesModel) -> None:
        self.model = model

    def _request(self, wish: SeriesWish, should_stop: ShouldStop = never_stop) -> tuple[FreeRequest, SeriesRecipe]:
        labels, where = () if wish.labels is None else wish.labels, tuple(wish.where)
        request = FreeRequest(self.model, labels, where, wish.length, wish.start_time, should_stop=should_stop)
        return request, self.model.recipe(sampler=wish.sampler, steps=wish.steps, guidance_scale=wish.guidance_scale)

    def check(self, wish: Wish) -> None:
        self._request(cast("SeriesWish", wish))

    def _drawn(self, wish: SeriesWish, start: int, count: int, should_stop: ShouldStop, *, arrays: bool) -> Drawn:
        request, recipe = self._request(wish, should_stop)
        found = []
        for drawn in self.model.blocks(request, recipe, wish.seed, start, start + count, arrays=arrays):
            found.append(drawn)
            if should_stop():
                raise StoppedError("given up")
        return join_drawn(found)

    def make(self, wish: Wish, should_stop: ShouldStop) -> Answer:
        wish = cast("SeriesWish", wish)
        drawn = self._drawn(wish, wish.start, wish.count, should_stop, arrays=wish.format == "npz")
        request, _ = self._request(wish)
        if wish.format == "npz":
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **cast("dict[str, Any]", drawn.arrays | request.whole_arrays()))
            return Answer(buffer.getvalue(), "application/octet-stream")
        if wish.format == "csv":
            from synthgen.data.tables.writing import format_rows

            text = format_rows(cast("Any", drawn.frame), request.columns, header=True)
            return Answer(text.encode(), "text/csv; charset=utf-8")
        document = {"seed": wish.seed, "start": wish.start, "sequences": self._sequences(request, drawn)}
        return Answer(json.dumps(document).encode(), "application/json")

    def stream(self, wish: Wish, should_stop: ShouldStop) -> Iterator[bytes]:
        wish = cast("SeriesWish", wish)
        request, recipe = self._request(wish)
        for start, count in pieces(wish, recipe.block_size):
            yield lines(self._sequences(request, self._drawn(wish, start, count, should_stop, arrays=False)))

    def _sequences(self, request: FreeRequest, drawn: Drawn) -> list[dict[str, Any]]:
        """Each sequence as the values of its steps by column: dates in ISO 8601, missing cells null."""
        from synthgen.data.tables.writing import restore

        columns = json_columns(restore(cast("Any", drawn.frame), request.columns))
        spans = [slice(int(a), int(b)) for a, b in zip(drawn.rows[:-1], drawn.rows[1:], strict=True)]
        return [{name: values[span] for name, values in columns.items()} for span in spans]
