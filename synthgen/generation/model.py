"""A trained model in the hand: load it, ask it for samples, watch it denoise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from synthgen import devices
from synthgen.checkpoints import Header
from synthgen.config.schema import Config
from synthgen.data.captions import Vocabulary
from synthgen.data.dataset import ImageCodec
from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.timesteps import sampling_levels
from synthgen.errors import StoppedError, UsageError, nearest
from synthgen.generation.building import build_denoiser, recipe_of_quality, recipe_with
from synthgen.generation.engine import Engine, Recipe
from synthgen.generation.guiding import weaker_copy
from synthgen.generation.headers import check_weights, parse_header
from synthgen.generation.newest import newest_good
from synthgen.generation.prompting import told
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.diffusion.schedule import NoiseSchedule
    from synthgen.explain.images.run import Explanation
    from synthgen.generation.series.model import SeriesModel
    from synthgen.generation.tables.model import TableModel


@dataclass(frozen=True)
class Trajectory:
    """How N samples came to be over R rows of the sampler (network evaluations).

    x: float32 (R + 1, N, C, H, W), what the sampler holds, from pure noise to the sample.
    x0: float32 (R, N, C, H, W), what the network takes the clean image to be at each row.
    sigmas: float64 (R,), noise-to-signal ratio sigma / alpha at each row.
    labels: int64 (N,) or None. keys: int64 (N,), the sample numbers.
    """

    x: np.ndarray
    x0: np.ndarray
    sigmas: np.ndarray
    labels: np.ndarray | None
    keys: np.ndarray


class Model:
    """A checkpoint loaded on a device. See `load`.

    class_names: what it can be asked for; of a model that learned from captions, those, or the `prompts` that it was
    `told`. vocabulary: the words that it knows then.
    """

    def __init__(
        self,
        path: Path,
        header: Header,
        denoiser: Denoiser,
        codec: ImageCodec,
        device: torch.device,
        prompts: tuple[str, ...] = (),
    ) -> None:
        self.path = path
        self.header = header
        self.denoiser = denoiser
        self.codec = codec
        self.device = device
        self.config = Config.model_validate(header["config"])
        self.prompts = prompts
        self.class_names: tuple[str, ...] = prompts or tuple(header["class_names"])
        words = header.get("vocabulary")
        self.vocabulary = None if words is None else Vocabulary(tuple(words["words"]), words["length"])
        self._weaker: dict[str, Denoiser] = {}
        self._engine = lru_cache(maxsize=4)(self._build_engine)

    @property
    def schedule(self) -> NoiseSchedule:
        """The noise process that the model was trained on."""
        return self.denoiser.schedule

    @property
    def sha256(self) -> str:
        """Hash of weights and header: what a sample depends on beside the recipe."""
        return str(self.header["sha256"])

    def recipe(
        self,
        *,
        sampler: str | None = None,
        steps: int | None = None,
        eta: float | None = None,
        guidance_scale: float | None = None,
        block_size: int | None = None,
        noise_levels: Sequence[float] | None = None,
        guidance_interval: Sequence[float] | None = None,
        autoguidance: str | Path | Model | None = None,
        quality: str | None = None,
    ) -> Recipe:
        """The model's own recipe with the given parts replaced.

        noise_levels: sigma/alpha at each step, falling. Those of the model belong to its own sampler and steps: with
        others the schedule spaces the levels. guidance_interval: (low, high), the sigma/alpha at which to guide.
        autoguidance: a weaker copy that guides in place of the missing label, see `weaker_copy`. quality: fast,
        balanced or best, a whole setting from the model's sampler card. block_size: samples computed together, on which
        their last digits depend; `synthgen.generation.blocks.fitting_block` finds a GPU's. Raises UsageError.
        """
        given: dict[str, Any] = {"sampler": sampler, "steps": steps, "eta": eta, "guidance_scale": guidance_scale}
        given |= {"noise_levels": None if noise_levels is None else tuple(noise_levels)}
        given |= {"guidance_interval": None if guidance_interval is None else tuple(guidance_interval)}
        given = {name: value for name, value in given.items() if value is not None}
        if autoguidance is not None:
            weaker = weaker_copy(self, autoguidance)
            self._weaker[weaker.sha256] = weaker.denoiser
            given["autoguidance"] = weaker.sha256
        if quality is not None:
            given = recipe_of_quality(self.header, str(self.path), quality, given)
        recipe = recipe_with(self.config, given if block_size is None else {**given, "block_size": block_size})
        if recipe.noise_levels:
            sampling_levels(self.schedule, recipe.sampler, recipe.steps, recipe.noise_levels)
        if recipe.guidance_scale != 1.0 and not self.class_names and recipe.autoguidance is None:
            raise UsageError(
                "this model is unconditional: there is no label to guide towards",
                "leave out the guidance, or name a weaker copy of the model as autoguidance",
            )
        return recipe

    def told(self, prompts: str | Sequence[str]) -> Model:
        """The same model with these prompts for its classes; see `synthgen.generation.prompting.told`."""
        return told(self, prompts)

    def engine(self, recipe: Recipe | None = None) -> Engine:
        """The engine of a recipe (by default the model's own), kept for the next call."""
        return self._engine(recipe or self.recipe())

    def _build_engine(self, recipe: Recipe) -> Engine:
        weaker = self._weaker.get(recipe.autoguidance or "")
        if recipe.autoguidance is not None and weaker is None:
            raise UsageError(
                f"these samples are guided by the checkpoint {recipe.autoguidance[:12]}...", "name it as autoguidance"
            )
        return Engine(self.denoiser, self.codec, recipe, self.device, weaker)

    def class_index(self, label: int | str) -> int:
        """The index of a class given by name, or by index. Raises UsageError naming the nearest class."""
        if not self.class_names:
            raise UsageError(
                "this model is unconditional: it knows no classes",
                "leave out the class, or train on labelled data",
            )
        if isinstance(label, str) and label in self.class_names:
            return self.class_names.index(label)
        text = str(label)
        if text.isascii() and text.isdigit() and int(text) < len(self.class_names):
            return int(text)
        known = ", ".join(self.class_names[:20]) + (", ..." if len(self.class_names) > 20 else "")
        raise UsageError(f"unknown class '{label}'{nearest(text, self.class_names)}", f"this model knows: {known}")

    def labels_for(self, start: int, count: int, labels: int | str | Sequence[int | str] | None) -> np.ndarray | None:
        """int64 (count,) labels of samples start, start + 1, ...

        None: balanced, label k % K (and None for an unconditional model). One label: that one for all. A sequence:
        repeated from sample 0 on, so that sample k has the same label in every request.
        """
        if labels is None and not self.class_names:
            return None
        keys = np.arange(start, start + count, dtype=np.int64)
        if labels is None:
            return keys % len(self.class_names)
        wanted = [labels] if isinstance(labels, (int, str, np.integer)) else list(labels)
        if not wanted:
            raise UsageError("an empty list of labels was given")
        return np.array([self.class_index(label) for label in wanted], np.int64)[keys % len(wanted)]

    def sample(
        self,
        count: int,
        *,
        labels: int | str | Sequence[int | str] | None = None,
        prompts: str | Sequence[str] | None = None,
        seed: int = 0,
        start: int = 0,
        sampler: str | None = None,
        steps: int | None = None,
        eta: float | None = None,
        guidance_scale: float | None = None,
        noise_levels: Sequence[float] | None = None,
        guidance_interval: Sequence[float] | None = None,
        autoguidance: str | Path | Model | None = None,
        quality: str | None = None,
        should_stop: ShouldStop = never_stop,
        reporter: Reporter | None = None,
    ) -> np.ndarray:
        """Samples number start ... start + count - 1: uint8 (count, H, W, C).

        Sample k depends on the checkpoint, the recipe, the seed and k alone. The settings are those of `recipe`.
        prompts: what to show in turn, of a model that learned from captions; in place of labels.
        """
        model = self if prompts is None else self.told(prompts)
        if prompts is not None and labels is not None:
            raise UsageError("labels and prompts both say what to show", "give one of them")
        if count < 1:
            raise UsageError(f"a count of 1 or more is needed, not {count}")
        reporter = reporter or NullReporter()
        recipe = model.recipe(
            sampler=sampler,
            steps=steps,
            eta=eta,
            guidance_scale=guidance_scale,
            noise_levels=noise_levels,
            guidance_interval=guidance_interval,
            autoguidance=autoguidance,
            quality=quality,
        )
        engine = model.engine(recipe)
        given = model.labels_for(start, count, labels)
        keys = np.arange(start, start + count)
        images = np.empty((count, self.codec.height, self.codec.width, self.codec.channels), np.uint8)
        done = 0
        with reporter.progress("sampling", count, "images") as progress:
            for block in engine.blocks(keys, given, seed):
                images[done : done + len(block)] = block
                done += len(block)
                progress.update(done)
                if should_stop() and done < count:
                    raise StoppedError(f"stopped after {done:,} of {count:,} samples")
        return images

    def explain(
        self,
        images: np.ndarray | None = None,
        *,
        methods: Sequence[str] | None = None,
        labels: Sequence[int | str] = (),
        rival: str | None = None,
        samples: int = 8,
        seed: int = 0,
        should_stop: ShouldStop = never_stop,
        reporter: Reporter | None = None,
    ) -> Explanation:
        """Why images came out as they did, or why this model reads given ones as it does; nothing is written.

        images: uint8 (N, H, W, C); None: the first `samples` that `sample` makes. methods: of `synthgen explain`; None:
        all that can be had. labels: their classes, in turn; none: those of the samples, or what the model finds
        likeliest. rival: the class to compare with, or `none`; None: the nearest. The maps with their checks and
        verdicts are in `attributions` of the result. Raises UsageError, StoppedError.
        """
        from synthgen.explain.images.run import Request, explain_images

        chosen = None if methods is None else tuple(methods)
        asked = Request(samples, tuple(labels), seed, methods=chosen, rival=rival)
        return explain_images(self, asked, images=images, reporter=reporter, should_stop=should_stop)

    def trajectory(
        self,
        indices: Sequence[int],
        *,
        labels: int | str | Sequence[int | str] | None = None,
        seed: int = 0,
        sampler: str | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
    ) -> Trajectory:
        """The denoising of the samples numbered `indices`, at most one block; the last x is what `sample` gives."""
        recipe = self.recipe(sampler=sampler, steps=steps, guidance_scale=guidance_scale)
        engine = self.engine(recipe)
        keys = np.array(list(indices), np.int64)
        if not 1 <= len(keys) <= recipe.block_size:
            raise UsageError(f"between 1 and {recipe.block_size} samples can be followed at once, not {len(keys)}")
        all_labels = self.labels_for(0, int(keys.max()) + 1, labels)
        given = None if all_labels is None else all_labels[keys]
        held: list[np.ndarray] = []
        guesses: list[np.ndarray] = []

        def keep(row: int, x: torch.Tensor, x0: torch.Tensor) -> None:
            held.append(x[: len(keys)].float().cpu().numpy().copy())
            guesses.append(x0[: len(keys)].float().cpu().numpy().copy())

        final = engine.latents(keys, given, seed, callback=keep)
        table = engine.table
        rows = [row.level for row in table.rows]
        ratios = np.asarray(table.sigmas)[rows] / np.asarray(table.alphas)[rows]
        return Trajectory(np.stack([*held, final.float().cpu().numpy()]), np.stack(guesses), ratios, given, keys)


def load(
    run: str | Path, *, device: str = "auto", reporter: Reporter | None = None
) -> Model | TableModel | SeriesModel:
    """Load a model: of images, of tables or of series, as its checkpoint says.

    Args:
        run: a run folder, a `.safetensors` file, or the name of a run in `runs/`. In a run folder whose newest
            checkpoint is damaged the one before it is used; the damaged one is named through `reporter`, or as a
            Python warning without one.
        device: auto, cpu, cuda, cuda:N, mps.
    Raises: UsageError when it is not there, SynthgenError when it is damaged or of another kind.
    """
    path, header, tensors = newest_good(run, reporter)
    place = devices.pick_device(device)
    devices.keep_freed_memory()
    if header.get("modality") == "tables":
        from synthgen.generation.tables.model import TableModel

        return TableModel.from_parts(path, header, tensors, place)
    if header.get("modality") == "series":
        from synthgen.generation.series.model import SeriesModel

        return SeriesModel.from_parts(path, header, tensors, place)
    checked = parse_header(path, header)
    check_weights(path, checked, tensors)
    classes, deviation = len(checked.class_names), checked.sigma_data
    denoiser = build_denoiser(checked.config, checked.image_codec, classes, deviation, place, checked.table)
    denoiser.network.load_state_dict(tensors)
    return Model(path, header, denoiser.eval().requires_grad_(False), checked.image_codec, place)


def load_image_model(run: str | Path, *, device: str = "auto", reporter: Reporter | None = None) -> Model:
    """`load` for what works on images alone. Raises UsageError for a model of anything else."""
    model = load(run, device=device, reporter=reporter)
    if not isinstance(model, Model):
        raise UsageError(f"{run} is a model of {model.header['modality']}; a model of images is needed here")
    return model
