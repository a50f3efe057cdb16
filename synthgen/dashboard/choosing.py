"""Which images to explain: the first samples, some of those that were generated, or files of the visitor's own."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from synthgen.api import explain
from synthgen.dashboard.parts import LARGEST_UPLOAD
from synthgen.errors import SynthgenError
from synthgen.generation.model import Model
from synthgen.rendering import png_bytes

FIRST, MADE, OWN = "first samples", "images of Generate", "files of your own"
MOST = 8
"""Images that one explanation may have here."""


@dataclass(frozen=True)
class Chosen:
    """What to explain: `count` samples of `labels`, or, where there are any, `files` (suffix, content), of `labels`."""

    count: int = 0
    seed: int = 0
    labels: tuple[int | str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)

    def explained(self, model: Model, out: Path, methods: list[str]) -> None:
        """Write the explanation to `out`."""
        common: dict[str, Any] = {"labels": self.labels, "seed": self.seed, "methods": methods or None}
        if not self.files:
            explain(model, out, samples=self.count, **common)
            return
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"image-{number}{suffix}" for number, (suffix, _) in enumerate(self.files)]
            for path, (_, content) in zip(paths, self.files, strict=True):
                path.write_bytes(content)
            explain(model, out, images=[str(path) for path in paths], **common)


def chosen_images(model: Model) -> Chosen | None:
    """The controls, and what they say; None as long as nothing was chosen. Raises SynthgenError for large files."""
    source = st.radio("What to explain", [FIRST, MADE, OWN], horizontal=True, key="why-source")
    return {FIRST: _first, MADE: _made, OWN: _own}[str(source)](model)


def _first(model: Model) -> Chosen | None:
    first, second, third = st.columns(3)
    count = int(first.number_input("Images", 1, MOST, 2, key="why-count"))
    seed = int(second.number_input("Seed", 0, 2**31 - 1, 0, key="why-seed"))
    labels = third.multiselect("Classes", model.class_names, placeholder="all in turn", key="why-classes")
    return Chosen(count, seed, tuple(labels))


def _made(model: Model) -> Chosen | None:
    if "images" not in st.session_state:
        st.info("Generate images first: some of them can then be explained here.")
        return None
    wish, images = st.session_state["images"]
    labels = model.labels_for(0, len(images), list(wish.labels) or None)
    names = [
        f"{number}" if labels is None else f"{number}: class {model.class_names[labels[number]]}"
        for number in range(len(images))
    ]
    numbers = st.multiselect(
        "Images, counted from 0 row by row",
        range(len(images)),
        [0],
        format_func=names.__getitem__,
        max_selections=MOST,
        key="why-numbers",
    )
    if not numbers:
        return None
    st.image([png_bytes(images[number], scale=max(1, 96 // images.shape[2])) for number in numbers])
    asked = () if labels is None else tuple(int(labels[number]) for number in numbers)
    return Chosen(labels=asked, files=tuple((".png", png_bytes(images[number])) for number in numbers))


def _own(model: Model) -> Chosen | None:
    given = st.file_uploader(
        f"Images of {model.codec.height} x {model.codec.width}, or any that can be made so",
        type=["png", "jpg", "jpeg", "bmp", "webp"],
        accept_multiple_files=True,
        key="why-files",
    )
    label = None
    if model.class_names:
        label = st.selectbox("Their class", [None, *model.class_names], format_func=_class_shown, key="why-label")
    if not given:
        return None
    if len(given) > MOST:
        raise SynthgenError(f"{len(given)} images are more than the {MOST} that one explanation may have here")
    large = [one for one in given if one.size > LARGEST_UPLOAD]
    if large:
        raise SynthgenError(f"{large[0].name} has {large[0].size / 2**20:.0f} MB", "make it smaller")
    return Chosen(
        labels=() if label is None else (label,),
        files=tuple((Path(one.name).suffix.lower(), one.getvalue()) for one in given),
    )


def _class_shown(name: str | None) -> str:
    return "what the model takes them for" if name is None else name
