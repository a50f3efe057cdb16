"""Models of every kind for the export tests, made from one tiny trained run."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers.utils import dynamic_modules_utils

from synthgen.checkpoints import load_checkpoint, save_checkpoint
from synthgen.config.schema import Config
from synthgen.data.dataset import ImageCodec
from synthgen.generation.building import build_denoiser
from synthgen.generation.model import Model, load
from synthgen.runs import resolve_run

MakeModel = Callable[..., Model]


@pytest.fixture(autouse=True)
def own_modules_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    """diffusers copies the code of a pipeline into a cache before it loads it: not into the user's."""
    folder = tmp_path_factory.getbasetemp() / "hf-modules"
    monkeypatch.setattr(dynamic_modules_utils, "HF_MODULES_CACHE", str(folder))
    monkeypatch.setenv("HF_MODULES_CACHE", str(folder))  # for processes of their own


@pytest.fixture(scope="session")
def make_model(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """make_model(schedule, prediction, conditional=True): a model of that kind with weights of some kind.

    What the weights are worth does not matter here: conditional ones are tiny_run's, others random, and an export
    has to follow the one as the other.
    """
    header, tensors = load_checkpoint(resolve_run(str(tiny_run)))
    folder = tmp_path_factory.mktemp("models")

    def make(schedule: str = "edm", prediction: str = "edm", *, conditional: bool = True, patch_size: int = 1) -> Model:
        path = folder / f"{schedule}-{prediction}-{conditional}-{patch_size}.safetensors"
        if not path.exists():
            changed, weights = copy.deepcopy(header), tensors
            changed["config"]["diffusion"].update(schedule=schedule, prediction=prediction)
            changed["config"]["model"].update(patch_size=patch_size)
            if not conditional:
                changed["class_names"] = []
            if not conditional or patch_size > 1:
                weights = random_weights(Config.model_validate(changed["config"]), ImageCodec(**header["codec"]))
            save_checkpoint(path, weights, changed)
        return load(path, device="cpu")

    return make


def random_weights(config: Config, codec: ImageCodec) -> dict[str, torch.Tensor]:
    """An unconditional network as initialised, but for its last layer, which begins at zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_denoiser(config, codec, 0, 0.5, torch.device("cpu")).network
        torch.nn.init.normal_(network.unet.conv_out.weight, std=0.05)
    return network.state_dict()
