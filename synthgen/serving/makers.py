"""From a wish to bytes, with the model in hand: what the service's one model thread runs."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np

from synthgen.errors import StoppedError, UsageError
from synthgen.generation.model import Model
from synthgen.generation.tables.model import TableModel
from synthgen.rendering import png_bytes
from synthgen.serving.wishes import ImageWish, RowWish, Wish
from synthgen.stopping import ShouldStop


@dataclass(frozen=True)
class Answer:
    """A finished body and its media type."""

    body: bytes
    media_type: str


class Maker(Protocol):
    """Makes what is wished from a model of one modality."""

    def check(self, wish: Wish) -> None:
        """Raises UsageError for what the model cannot do; computes nothing."""

    def make(self, wish: Wish, should_stop: ShouldStop) -> Answer:
        """The whole answer. Raises StoppedError."""

    def stream(self, wish: Wish, should_stop: ShouldStop) -> Iterator[bytes]:
        """The answer as lines of JSON, one for each sample, in pieces."""


class ImageMaker:
    """Images of a model; each PNG has the bytes that `synthgen sample` writes for the same number and seed."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def _arguments(self, wish: ImageWish) -> dict[str, Any]:
        asked = {"sampler": wish.sampler, "steps": wish.steps, "guidance_scale": wish.guidance_scale}
        return {**asked, "quality": wish.quality}

    def _told(self, wish: ImageWish) -> Model:
        """The model, told the prompts of the wish. Raises UsageError for what it does not understand."""
        if wish.prompts is None:
            return self.model
        if wish.labels is not None:
            raise UsageError("labels and prompts both say what to show", "give one of them")
        return self.model.told(wish.prompts)

    def check(self, wish: Wish) -> None:
        wish = cast("ImageWish", wish)
        model = self._told(wish)
        recipe = model.recipe(**self._arguments(wish))
        self.model.engine(recipe)
        model.labels_for(wish.start, 1, wish.labels)
        if isinstance(wish.labels, list):
            for label in wish.labels:
                self.model.class_index(label)

    def _pixels(self, model: Model, wish: ImageWish, start: int, count: int, should_stop: ShouldStop) -> np.ndarray:
        return model.sample(
            count, labels=wish.labels, seed=wish.seed, start=start, should_stop=should_stop, **self._arguments(wish)
        )

    def make(self, wish: Wish, should_stop: ShouldStop) -> Answer:
        wish = cast("ImageWish", wish)
        model = self._told(wish)
        pixels = self._pixels(model, wish, wish.start, wish.count, should_stop)
        labels = model.labels_for(wish.start, wish.count, wish.labels)
        if wish.format == "npz":
            parts = {"images": pixels}
            if labels is not None:
                parts |= {"labels": labels, "class_names": np.array(model.class_names)}
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **cast("dict[str, Any]", parts))
            return Answer(buffer.getvalue(), "application/octet-stream")
        document = {
            "seed": wish.seed,
            "start": wish.start,
            "labels": None if labels is None else [model.class_names[label] for label in labels],
            "images": [_picture(image) for image in pixels],
        }
        return Answer(json.dumps(document).encode(), "application/json")

    def stream(self, wish: Wish, should_stop: ShouldStop) -> Iterator[bytes]:
        wish = cast("ImageWish", wish)
        model = self._told(wish)
        for start, count in pieces(wish, model.recipe(**self._arguments(wish)).block_size):
            labels = model.labels_for(start, count, wish.labels)
            names = [None] * count if labels is None else [model.class_names[label] for label in labels]
            pixels = self._pixels(model, wish, start, count, should_stop)
            rows = zip(range(start, start + count), names, pixels, strict=True)
            documents = [{"number": number, "label": name, "image": _picture(image)} for number, name, image in rows]
            yield lines(documents)


class RowMaker:
    """Rows of a table's model, as `synthgen sample` writes them."""

    def __init__(self, model: TableModel) -> None:
        self.model = model

    def check(self, wish: Wish) -> None:
        wish = cast("RowWish", wish)
        self.model.recipe(steps=wish.steps, temperature=wish.temperature)
        self.model.request(tuple(wish.where), wish.balance)
        if wish.format == "parquet":
            from synthgen.generation.tables.writing import check_writable

            check_writable("parquet")

    def _rows(self, wish: RowWish, start: int, count: int, should_stop: ShouldStop) -> Any:
        """Rows in the normal form of their columns."""
        from synthgen.generation.tables.joining import join_frames

        recipe = self.model.recipe(steps=wish.steps, temperature=wish.temperature)
        request = self.model.request(tuple(wish.where), wish.balance)
        found = []
        for frame in self.model.frames(request, recipe, wish.seed, start, start + count):
            found.append(frame)
            if should_stop():
                raise StoppedError("given up")
        return join_frames(found)

    def make(self, wish: Wish, should_stop: ShouldStop) -> Answer:
        wish = cast("RowWish", wish)
        rows = self._rows(wish, wish.start, wish.count, should_stop)
        if wish.format == "json":
            document = {"seed": wish.seed, "start": wish.start, "rows": self._records(rows)}
            return Answer(json.dumps(document).encode(), "application/json")
        if wish.format == "parquet":
            from synthgen.generation.tables.writing import parquet_bytes

            return Answer(parquet_bytes(rows, self.model.schema), "application/vnd.apache.parquet")
        from synthgen.data.tables.writing import format_rows

        return Answer(format_rows(rows, self.model.schema, header=True).encode(), "text/csv; charset=utf-8")

    def stream(self, wish: Wish, should_stop: ShouldStop) -> Iterator[bytes]:
        wish = cast("RowWish", wish)
        block = self.model.recipe(steps=wish.steps, temperature=wish.temperature).block_size
        for start, count in pieces(wish, block):
            yield lines(self._records(self._rows(wish, start, count, should_stop)))

    def _records(self, rows: Any) -> list[dict[str, Any]]:
        """Rows as JSON values: dates in ISO 8601, missing cells null."""
        from synthgen.data.tables.writing import restore

        columns = json_columns(restore(rows, self.model.schema))
        return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def maker_of(model: Any) -> Maker:
    """What makes samples of `model` for the service."""
    if isinstance(model, Model):
        return ImageMaker(model)
    if isinstance(model, TableModel):
        return RowMaker(model)
    from synthgen.serving.series import SeriesMaker

    return SeriesMaker(model)


def pieces(wish: Wish, block: int) -> Iterator[tuple[int, int]]:
    """(start, count) of pieces that end where blocks end, so that no block is computed twice."""
    start, stop = wish.start, wish.start + wish.count
    while start < stop:
        last = min(stop, (start // block + 1) * block)
        yield start, last - start
        start = last


def json_columns(frame: Any) -> dict[str, list[Any]]:
    """The cells of a DataFrame by column as JSON has them: dates in ISO 8601, what is missing or infinite null.

    Numbers keep all their digits, as in CSV; `to_json` alone ends ten places after the point.
    """
    found = {}
    for name in frame.columns:
        column = frame[name]
        kind = getattr(column.dtype, "numpy_dtype", column.dtype)
        if getattr(kind, "kind", "O") == "f":
            numbers = column.to_numpy(kind, na_value=np.nan)
            found[str(name)] = [float(str(number)) if np.isfinite(number) else None for number in numbers]
        else:
            found[str(name)] = json.loads(column.to_json(orient="records", date_format="iso", date_unit="us"))
    return found


def _picture(image: np.ndarray) -> str:
    return base64.b64encode(png_bytes(image)).decode()


def lines(documents: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(document) + "\n" for document in documents).encode()
