"""Views of a model of images: generate, watch the denoising, explain, compare with the training images."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from synthgen.dashboard.choosing import chosen_images
from synthgen.dashboard.parts import View, download, explain_view, shown_command, working, zip_bytes
from synthgen.data.dataset import ImageData
from synthgen.diffusion.samplers import SAMPLERS
from synthgen.evaluation.neighbours import PixelIndex
from synthgen.explain.images.methods import METHOD_NAMES
from synthgen.explain.pictures import displayed
from synthgen.generation.model import Model
from synthgen.rendering import grid, png_bytes
from synthgen.training.images import load_data

MOST = 64
"""Images that one click may ask for."""
OWN = "the model's own"


@dataclass(frozen=True)
class Wish:
    """What the visitor asked for; None: what the model's config says."""

    count: int
    seed: int
    labels: tuple[str, ...]
    sampler: str | None
    steps: int | None
    guidance_scale: float | None

    def drawn(self) -> dict[str, Any]:
        """The arguments of `Model.sample` and `Model.trajectory` beside the numbers of the samples."""
        return {
            "labels": list(self.labels) or None,
            "seed": self.seed,
            "sampler": self.sampler,
            "steps": self.steps,
            "guidance_scale": self.guidance_scale,
        }

    def flags(self) -> list[object]:
        """The same on the command line."""
        found: list[object] = [part for label in self.labels for part in ("--class", label)]
        for flag, value in (("sampler", self.sampler), ("steps", self.steps), ("guidance-scale", self.guidance_scale)):
            found += [] if value is None else [f"--{flag}", value]
        return [*found, "--seed", self.seed]


def _settings(model: Model, key: str, *, most: int = MOST, count: int = 16) -> Wish:
    """The controls that every view of drawn images has."""
    own = model.recipe()
    first, second, third = st.columns(3)
    number = first.number_input("Images", 1, most, min(count, most), key=f"{key}-count")
    seed = second.number_input("Seed", 0, 2**31 - 1, 0, key=f"{key}-seed")
    labels = third.multiselect("Classes", model.class_names, placeholder="all in turn", key=f"{key}-classes")
    with st.expander("Sampler"):
        first, second, third = st.columns(3)
        sampler = first.selectbox("Sampler", [OWN, *SAMPLERS], help=f"its own: {own.sampler}", key=f"{key}-sampler")
        steps = second.number_input("Steps", 1, 1000, own.steps, key=f"{key}-steps")
        scale = 1.0
        if model.class_names:
            scale = third.slider("Guidance", 0.0, 5.0, own.guidance_scale, 0.1, help="1 is off", key=f"{key}-scale")
    return Wish(
        int(number),
        int(seed),
        tuple(labels),
        None if sampler == OWN else str(sampler),
        None if steps == own.steps else int(steps),
        None if scale == own.guidance_scale else float(scale),
    )


def generate(model: Model, run: str) -> None:
    """Images by class, sampler, steps, guidance and seed; saved as PNG, zip or npz."""
    wish = _settings(model, "generate")
    if st.button("Generate", type="primary"):
        with working("sampling ..."):
            st.session_state["images"] = (wish, model.sample(wish.count, **wish.drawn()))
    if "images" not in st.session_state:
        st.caption("Sample k depends on the model, these settings, the seed and k alone.")
        return
    made, images = st.session_state["images"]
    columns = min(8, len(images))
    st.image(png_bytes(grid(images, columns), scale=_scale(images)), caption=_caption(model, made))
    files = {f"{number:05d}.png": png_bytes(image) for number, image in enumerate(images)}
    with st.container(horizontal=True):
        download("Picture", png_bytes(grid(images, columns), scale=1), "grid.png", "image/png")
        download("PNG files", zip_bytes(files), "images.zip", "application/zip")
        download("npz", _npz(model, made, images), "images.npz")
    shown_command(["sample", run, "--count", made.count, *made.flags(), "--out", "synthetic/"])


def denoising(model: Model, run: str) -> None:
    """What the sampler holds, and what the network takes the image to be, step by step."""
    wish = _settings(model, "denoise", most=min(16, model.recipe().block_size), count=6)
    if st.button("Draw", type="primary"):
        with working("sampling ..."):
            st.session_state["path"] = (wish, model.trajectory(range(wish.count), **wish.drawn()))
    if "path" not in st.session_state:
        return
    made, path = st.session_state["path"]
    rows = len(path.x0)
    row = st.slider("Evaluation of the network", 1, rows, 1) - 1 if rows > 1 else 0
    st.caption(f"noise to signal {path.sigmas[row]:.3g}; {_caption(model, made)}")
    left, right = st.columns(2)
    for place, values, words in (
        (left, path.x[row], "what the sampler holds"),
        (right, path.x0[row], "what the network takes the clean image to be"),
    ):
        images = displayed(values[None])[0]
        place.image(png_bytes(grid(images, 3), scale=_scale(images)), caption=words)
    samples = displayed(path.x[-1:])[0]
    st.image(png_bytes(grid(samples, made.count), scale=_scale(samples)), "the samples")


def why(model: Model, run: str) -> None:
    """The explanation of the first samples of a class, of generated images or of files, with its audit."""
    chosen = chosen_images(model)
    if chosen is None:
        return
    names = [name for name in METHOD_NAMES if name != "trajectory" or not chosen.files]
    methods = st.multiselect("Methods", names, names[: 2 - bool(chosen.files)], key=f"why-methods-{len(names)}")
    explain_view(lambda out: chosen.explained(model, out, methods), (chosen, tuple(methods)))


def compare(model: Model, run: str) -> None:
    """Generated images beside their nearest training images."""
    if "images" not in st.session_state:
        st.info("Generate images first: they are compared here with the images that the model learned from.")
        return
    _, images = st.session_state["images"]
    data, index = _training_images(model)
    with working("searching the training images ..."):
        nearest = index.search(images)
    st.caption(
        f"Each generated image above its nearest of the {len(data):,} training images. Under it, after its number, the "
        "distance to that one in parts of the distance to the tenth nearest: 0 is a copy, 1 is one of many."
    )
    pairs = [np.stack(pair) for pair in zip(images, data.images[nearest.index], strict=True)]
    st.image(
        [png_bytes(grid(pair, 1), scale=_scale(images)) for pair in pairs],
        caption=[f"{number}: {ratio:.2f}" for number, ratio in enumerate(nearest.ratio)],
    )
    copies = int(nearest.copy.sum())
    st.write(f"Copies among {len(images)}: **{copies}**. `synthgen evaluate` measures it on thousands, with a floor.")


@st.cache_resource(max_entries=1, show_spinner="reading the training images ...")
def _indexed(source: str, sha256: str, _model: Model) -> tuple[ImageData, PixelIndex]:
    data, _ = load_data(_model.config).hold_out(_model.config.data.validation)
    return data, PixelIndex(data.images)


def _training_images(model: Model) -> tuple[ImageData, PixelIndex]:
    return _indexed(model.config.data.source, model.sha256, model)


def _scale(images: np.ndarray, least: int = 1) -> int:
    return max(least, 96 // int(images.shape[2]))


def _caption(model: Model, wish: Wish) -> str:
    recipe = model.recipe(sampler=wish.sampler, steps=wish.steps, guidance_scale=wish.guidance_scale)
    return (
        f"{recipe.sampler}, {recipe.steps} steps, seed {wish.seed}, {', '.join(wish.labels) or 'all classes in turn'}"
    )


def _npz(model: Model, wish: Wish, images: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    labels = model.labels_for(0, len(images), list(wish.labels) or None)
    arrays: dict[str, Any] = {"images": images} if labels is None else {"images": images, "labels": labels}
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


VIEWS: dict[str, View] = {"Generate": generate, "Denoising": denoising, "Explain": why, "Compare": compare}
"""In the order in which they are offered."""
