"""Sampling of an image network that synthgen trained. Needs diffusers, torch and numpy; not synthgen.

    from diffusers import DiffusionPipeline
    pipe = DiffusionPipeline.from_pretrained(folder, custom_pipeline=folder, trust_remote_code=True)
    images = pipe(batch_size=16, class_labels=3, seed=0).images

Sample k is a function of (weights, seed, k), and the same as `synthgen sample` gives. SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DiffusionPipeline, DPMSolverMultistepScheduler, ImagePipelineOutput
from PIL import Image
from torch.nn import functional


def philox_noise(seed: int, keys: range, shape: tuple[int, ...], draw: int) -> np.ndarray:
    """Standard normal noise, float32 (len(keys), *shape): one Philox-4x64 generator per (seed, key), read from
    the counter word `draw`: 0 where a sample starts, 1, 2, ... the fresh noises of its sampler."""
    out = np.empty((len(keys), *shape), np.float32)
    for row, key in enumerate(keys):
        bits = np.random.Philox(key=np.array([seed, key], np.uint64), counter=np.array([0, 0, 0, draw], np.uint64))
        np.random.Generator(bits).standard_normal(out=out[row], dtype=np.float32)
    return out


def words_of(text: str) -> list[str]:
    """The words of a prompt in small letters: runs of letters and digits, with apostrophes inside."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return [word.replace("\u2019", "'") for word in re.findall(r"[^\W_]+(?:['\u2019][^\W_]+)*", plain)]


class SynthgenPipeline(DiffusionPipeline):  # type: ignore[misc]
    """A `UNet2DModel` or `UNet2DConditionModel` and a scheduler, with labels, guidance and numbered noise.

    Args:
        class_names: names of the classes, or captions, in the order of the labels; one label more is "no class".
        class_tokens: of a network with cross-attention, the tokens of each of them; zeros alone say nothing.
        vocabulary: of a network that learned from captions, its words: word i is token i + 1.
        network_output: `edm`, `epsilon` or `sample` when the scheduler is not to read the network's output itself
            but the clean image that this pipeline makes of it; None when it reads it.
        sigma_data: standard deviation of the training data; used with `edm`.
        num_inference_steps, guidance_scale, guidance_interval, eta: what a call uses unless told otherwise. Guidance
            acts where sigma / alpha lies in the interval.
        patch_size: side of the pixel squares that the network sees as one pixel of more channels.
    """

    def __init__(
        self,
        unet: object,
        scheduler: object,
        class_names: object = (),  # a list of str: diffusers reads these annotations, and knows plain classes only
        network_output: str | None = None,
        sigma_data: float | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float = 1.0,
        guidance_interval: object = (0.0, 1e9),
        eta: float = 0.0,
        patch_size: int = 1,
        class_tokens: object = (),
        vocabulary: object = (),
    ) -> None:
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)
        self.register_to_config(
            class_names=list(class_names),  # type: ignore[call-overload]
            network_output=network_output,
            sigma_data=sigma_data,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            guidance_interval=list(guidance_interval),  # type: ignore[call-overload]
            eta=eta,
            patch_size=patch_size,
            class_tokens=[list(row) for row in class_tokens],  # type: ignore[attr-defined]
            vocabulary=list(vocabulary),  # type: ignore[call-overload]
        )

    @torch.no_grad()
    def __call__(
        self,
        batch_size: int = 1,
        class_labels: int | str | Sequence[int | str] | None = None,
        prompt: str | Sequence[str] | None = None,
        seed: int = 0,
        start: int = 0,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> ImagePipelineOutput | tuple[Any]:
        """Samples number start ... start + batch_size - 1 of `seed`.

        Args:
            class_labels: one label or name for all, a sequence repeated from sample 0 on, or None for every class
                in turn.
            prompt: what to show in place of classes, by a network that learned from captions; several take turns.
            output_type: `pil`, `np` (float32 in [0, 1]), `uint8` (array), each (N, H, W, C), or `pt` (N, C, H, W).
        """
        keys = range(start, start + batch_size)
        if prompt is not None and class_labels is not None:
            raise ValueError("class_labels and prompt both say what to show: give one of them")
        table = self._table(prompt)
        labels = self._labels(keys, class_labels, None if prompt is None or table is None else len(table) - 1)
        scale = self.config.guidance_scale if guidance_scale is None else guidance_scale
        if scale != 1.0 and labels is None:
            raise ValueError("this model is unconditional: there is nothing to guide towards")
        solver = self._solver(num_inference_steps or self.config.num_inference_steps or 20)
        x = self._sample(solver, keys, labels, table, seed, scale)
        levels = x.clamp(-1.0, 1.0).add(1.0).mul(127.5).round().byte()
        images = self._output(levels, output_type)
        return ImagePipelineOutput(images=images) if return_dict else (images,)

    def _sample(
        self, solver: Any, keys: range, labels: torch.Tensor | None, table: Any, seed: int, guidance_scale: float
    ) -> torch.Tensor:
        device = self._execution_device
        size = self.unet.config.sample_size
        patch = self.config.patch_size
        sides = (size, size) if isinstance(size, int) else size
        shape = (self.unet.config.in_channels // patch**2, *(patch * side for side in sides))

        def noise(draw: int) -> torch.Tensor:
            return torch.from_numpy(philox_noise(seed, keys, shape, draw)).to(device)

        x = noise(0) * self._first_sigma(solver)
        low, high = self.config.guidance_interval
        for i, t in enumerate(self.progress_bar(solver.timesteps)):
            alpha, sigma = self._level(solver, i)
            guided = labels is not None and guidance_scale != 1.0 and low <= float(sigma / alpha) <= high
            seen = solver.scale_model_input(x, t) if hasattr(solver, "scale_model_input") else x
            time = 1000 * sigma if self._is_flow else t
            output = self._network(seen, alpha, sigma, time, self._told(labels, table))
            if guided:  # Ho and Salimans 2022, equation 6
                nothing = torch.full((len(keys),), self._classes if table is None else len(table) - 1, device=device)
                without = self._network(seen, alpha, sigma, time, self._told(nothing, table))
                output = without + guidance_scale * (output - without)
            x = solver.step(output, t, x, **self._step_options(solver, i, noise)).prev_sample
        return x.float()

    def _network(
        self, x: torch.Tensor, alpha: torch.Tensor, sigma: torch.Tensor, time: Any, told: dict[str, Any]
    ) -> torch.Tensor:
        """The network's output, turned into the clean image where the scheduler cannot read it."""
        kind = self.config.network_output
        total = (sigma / alpha) ** 2 + (self.config.sigma_data or 0.0) ** 2
        scale = 1 / (alpha * total.sqrt()) if kind == "edm" else torch.ones(())
        patches = functional.pixel_unshuffle((scale * x).to(self.unet.dtype), self.config.patch_size)
        raw: torch.Tensor = self.unet(patches, time, **told).sample.float()
        raw = functional.pixel_shuffle(raw, self.config.patch_size)
        if kind == "edm":  # Karras et al. 2022, table 1, in x / alpha
            data = float(self.config.sigma_data)
            return (data**2 / (alpha * total)) * x + (sigma / alpha * data / total.sqrt()) * raw
        if kind == "epsilon":
            return ((x - sigma * raw) / alpha).clamp(-1.0, 1.0)
        return raw

    def _solver(self, steps: int) -> Any:
        """A scheduler of its own for this call, with its timesteps set."""
        config = self.scheduler.config
        if isinstance(self.scheduler, DDPMScheduler):
            # That one takes no noise from outside. The same update is DPM-Solver++'s SDE of order 1.
            solver = DPMSolverMultistepScheduler.from_config(
                config, algorithm_type="sde-dpmsolver++", solver_order=1, thresholding=config.clip_sample
            )
        else:
            solver = type(self.scheduler).from_config(config)
        device = self._execution_device
        if isinstance(solver, DDIMScheduler):
            if 1000 % steps:  # it would step to another level than the one it visits next: diffusers #11347
                raise ValueError(f"DDIMScheduler is wrong at {steps} steps: give a number that divides 1000")
            solver.set_timesteps(steps, device=device)
        elif type(solver).__name__ == "FlowMatchEulerDiscreteScheduler":
            solver.set_timesteps(sigmas=list(np.linspace(0.999, 0.0, steps + 1)[:-1]), device=device)
        elif hasattr(config, "beta_schedule") and not self._is_flow:
            # "trailing" spacing, rounded once; the scheduler's own rounding differs for some numbers of steps
            times = np.round(np.arange(steps, 0, -1) * (1000 / steps)).astype(int) - 1
            solver.set_timesteps(timesteps=times.tolist(), device=device)
        else:
            solver.set_timesteps(steps, device=device)
        if hasattr(solver, "set_begin_index"):
            solver.set_begin_index(0)  # else the first step is looked up by timestep, and equal ones confuse it
        return solver

    @property
    def _is_flow(self) -> bool:
        name = type(self.scheduler).__name__
        return name.startswith("FlowMatch") or bool(self.scheduler.config.get("use_flow_sigmas", False))

    def _level(self, solver: Any, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        """alpha and sigma of evaluation i, as the network sees its input."""
        if isinstance(solver, DDIMScheduler):
            bar = solver.alphas_cumprod[int(solver.timesteps[i])]
            return bar.sqrt(), (1 - bar).sqrt()
        sigma = solver.sigmas[i]
        if self._is_flow:
            return 1 - sigma, sigma
        if "sigma_data" in solver.config:  # EDM: variance exploding
            return torch.ones(()), sigma
        alpha = 1 / (sigma**2 + 1).sqrt()
        return alpha, sigma * alpha

    def _first_sigma(self, solver: Any) -> float:
        if "Heun" in type(solver).__name__:  # its x is scaled by 1 / alpha
            return float(solver.sigmas[0])
        return float(self._level(solver, 0)[1])

    def _step_options(self, solver: Any, i: int, noise: Any) -> dict[str, Any]:
        """The fresh noise of step i; none is drawn for the last step, where it counts for nothing."""
        last = i == len(solver.timesteps) - 1
        if isinstance(solver, DDIMScheduler):
            options = {"eta": self.config.eta, "use_clipped_model_output": True}
            return {**options, "variance_noise": noise(i + 1)} if not last else {**options, "eta": 0.0}
        if str(solver.config.get("algorithm_type", "")).startswith("sde"):
            return {"variance_noise": noise(0 if last else i + 1)}
        return {}

    @property
    def _classes(self) -> int:
        """How many there are; 0 for an unconditional network. One label more says nothing."""
        return len(self.config.class_tokens) or int(self.unet.config.num_class_embeds or 1) - 1

    def _table(self, prompt: str | Sequence[str] | None) -> torch.Tensor | None:
        """The tokens of every label, int64 (labels + 1, T), the last row nothing; None without cross-attention."""
        rows = [list(row) for row in self.config.class_tokens]
        words = list(self.config.vocabulary)
        if prompt is not None:
            if not words:
                raise ValueError("this model did not learn from captions: it understands no prompt")
            length = len(rows[0])
            rows = []
            for text in [prompt] if isinstance(prompt, str) else prompt:
                found = words_of(text)
                unknown = [word for word in found if word not in words]
                if unknown or not 0 < len(found) < length:
                    reason = f"unknown word {unknown[0]!r}" if unknown else f"not between 1 and {length - 1} words"
                    raise ValueError(f"prompt {text!r}: {reason}")
                numbers = [words.index(word) + 1 for word in found]
                rows.append(numbers + [0] * (length - len(numbers)))
        return torch.tensor([*rows, [0] * len(rows[0])], device=self._execution_device) if rows else None

    def _told(self, labels: torch.Tensor | None, table: torch.Tensor | None) -> dict[str, Any]:
        """What the network is told: labels, or tokens as two ones among zeros (which token, and which place)."""
        if table is None or labels is None:
            return {"class_labels": labels}
        length, width = table.shape[1], self.unet.config.encoder_hid_dim
        which = functional.one_hot(table[labels], width - length)
        place = torch.eye(length, dtype=which.dtype, device=which.device).expand(len(labels), -1, -1)
        return {"encoder_hidden_states": torch.cat([which, place], dim=-1).to(self.unet.dtype)}

    def _labels(
        self, keys: range, given: int | str | Sequence[int | str] | None, prompts: int | None
    ) -> torch.Tensor | None:
        classes = self._classes if prompts is None else prompts
        if not classes:
            if given is not None:
                raise ValueError("this model is unconditional: it knows no classes")
            return None
        names = list(self.config.class_names)
        if given is None:
            wanted: list[int | str] = list(range(classes))
        else:
            wanted = [given] if isinstance(given, (int, str)) else list(given)
        for label in wanted:
            if label not in names and not (isinstance(label, int) and 0 <= label < classes):
                raise ValueError(f"unknown class {label!r}: this model knows {', '.join(names)}")
        indices = [names.index(label) if isinstance(label, str) else label for label in wanted]
        return torch.tensor([indices[k % len(indices)] for k in keys], device=self._execution_device)

    @staticmethod
    def _output(levels: torch.Tensor, kind: str) -> Any:
        """uint8 (N, C, H, W) as the caller wants it."""
        if kind == "pt":
            return levels.float().div(255)
        pixels = levels.cpu().permute(0, 2, 3, 1).numpy()
        if kind == "pil":
            return [Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image) for image in pixels]
        if kind == "uint8":
            return pixels
        if kind == "np":
            return pixels.astype(np.float32) / 255
        raise ValueError(f"unknown output_type {kind!r}: give pil, np, uint8 or pt")
