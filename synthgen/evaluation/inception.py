"""Inception features: torch-fidelity's own extractor, its weights found, fetched or given, and read as data alone.

torch-fidelity downloads the weights on its own and reads them with full pickle, which runs whatever a file says. Here
the file is fetched with a checksum, read as plain tensors, and handed over from memory.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
from torch_fidelity.utils import create_feature_extractor

from synthgen import devices
from synthgen.data.download import fetch_known
from synthgen.data.registry import KnownSet, RemoteFile
from synthgen.errors import SynthgenError, UsageError
from synthgen.evaluation.extractors import Extractor
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

NAME = "inception-v3-compat"
_BASE, _FILE = str(URL_INCEPTION_V3).rsplit("/", 1)
PUBLISHED_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
WEIGHTS = KnownSet(
    name="inception",
    title="Inception-v3 weights of 2015-12-05, converted by torch-fidelity",
    layout="idx",
    counts={},
    shape=None,
    class_names=(),
    licence="Apache-2.0",
    citation="C. Szegedy et al.: Rethinking the Inception architecture for computer vision, CVPR 2016.",
    folders=("inception",),
    mirrors=(_BASE,),
    files=(RemoteFile(_FILE, PUBLISHED_SHA256, 95_628_359),),
)
"""The weights as a file to fetch; only name, folder, mirrors and files are used."""

_FEATURES, _LOGITS = "2048", "logits_unbiased"
_BATCH = 32


def inception_extractor(
    weights: Path | None = None,
    *,
    device: str = "auto",
    should_stop: ShouldStop = never_stop,
    reporter: Reporter | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Extractor:
    """torch-fidelity's Inception with the weights in `weights`, else those on this machine, else downloaded ones.

    Args:
        weights: torch-fidelity's own .pth, known by its checksum, or any state dict as .safetensors.
        wait: called with the seconds between attempts to download.
    Raises: SynthgenError naming the file and the alternative when the weights cannot be had; UsageError when `weights`
        is no file.
    """
    reporter = reporter or NullReporter()
    path = weights or _on_this_machine() or _fetch(reporter, should_stop, wait)
    published = _sha256(path) == PUBLISHED_SHA256
    if not published and path.suffix == ".safetensors":
        reporter.warn(
            f"{path} is not the file that torch-fidelity publishes ({_FILE}): its figures compare with no others"
        )
    buffer = io.BytesIO()
    torch.save(_read(path, published=published), buffer)
    buffer.seek(0)
    try:
        module = create_feature_extractor(
            NAME, [_FEATURES, _LOGITS], cuda=False, feature_extractor_weights_path=buffer, verbose=False
        )
    except RuntimeError as error:
        raise SynthgenError(
            f"{path} does not hold the weights of torch-fidelity's Inception", f"the file is called {_FILE}"
        ) from error
    return Extractor(
        NAME if published else f"{NAME} with {path.name}",
        module.to(devices.pick_device(device)),
        _FEATURES,
        _LOGITS,
        3,
        _BATCH,
        card={"file": path.name, "published": published},
    )


def _on_this_machine() -> Path | None:
    """The weights where torch-fidelity itself would have put them."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / _FILE
    return path if path.is_file() else None


def _fetch(reporter: Reporter, should_stop: ShouldStop, wait: Callable[[float], None]) -> Path:
    try:
        folder = fetch_known(WEIGHTS, reporter=reporter, should_stop=should_stop, wait=wait)
    except SynthgenError as error:
        if error.exit_code != SynthgenError.exit_code:  # stopped, or a wrong setting: not for want of a network
            raise
        raise SynthgenError(
            f"the Inception weights ({_FILE}, 96 MB) are not on this machine and could not be downloaded: "
            f"{error.message}",
            "use --features domain, which needs no download, or --inception-weights FILE with that file",
        ) from error
    return folder / _FILE


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise UsageError(f"there is no file of Inception weights at {path}", f"the file is called {_FILE}")
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read(path: Path, *, published: bool) -> dict[str, torch.Tensor]:
    """The tensors of a state dict file: safetensors, or the one .pth whose every byte is known.

    A .pth is a pickle. `weights_only` was got round twice (CVE-2025-32434, CVE-2026-24747), so that it is no reason to
    open a file from anywhere.
    """
    if path.suffix != ".safetensors" and not published:
        raise SynthgenError(
            f"{path} is not the file that torch-fidelity publishes, and other .pth files are not opened: they are "
            "pickles, which can run code when they are read",
            "save the weights of your own network with safetensors.torch.save_file and give that file",
        )
    try:
        tensors = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251 - its sha256 is the published one
        )
    except (SafetensorError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SynthgenError(f"{path} is not a file of weights: {reason}", f"the file is called {_FILE}") from error
    return dict(tensors)
