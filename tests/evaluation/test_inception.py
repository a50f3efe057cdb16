"""Inception features without the network: what the error says, and what a file may and may not do."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from synthgen.data.registry import RemoteFile
from synthgen.errors import SynthgenError, UsageError
from synthgen.evaluation import inception
from synthgen.evaluation.images import evaluate_images
from synthgen.evaluation.inception import inception_extractor
from synthgen.reporting import NullReporter
from tests.evaluation.conftest import blobs

FILE = "weights-inception-2015-12-05-6726825d.pth"


class _Untrained(FeatureExtractorInceptionV3):  # type: ignore[misc]
    """torch-fidelity's network as it is initialised, without weights read from anywhere."""

    def __init__(self) -> None:
        empty = io.BytesIO()
        torch.save({}, empty)
        empty.seek(0)
        super().__init__("untrained", ["2048", "logits_unbiased"], feature_extractor_weights_path=empty)

    def load_state_dict(self, *arguments: object, **options: object) -> None:  # type: ignore[override]
        return None


class _Listener(NullReporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture(scope="module")
def untrained() -> _Untrained:
    torch.manual_seed(0)
    return _Untrained()


@pytest.fixture(scope="module")
def weights(untrained: _Untrained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inception") / "random.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in untrained.state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def pickled(untrained: _Untrained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights as torch-fidelity publishes its own: a .pth."""
    path = tmp_path_factory.mktemp("pickled") / "random.pth"
    torch.save(untrained.state_dict(), path)
    return path


@pytest.fixture
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights on this machine, and a mirror at which nobody listens."""
    monkeypatch.setenv("SYNTHGEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("SYNTHGEN_MIRROR", "http://127.0.0.1:9")


@pytest.mark.usefixtures("nothing_here")
def test_offline_the_error_names_the_file_and_the_alternative() -> None:
    waits: list[float] = []
    with pytest.raises(SynthgenError) as caught:
        inception_extractor(wait=waits.append)
    assert FILE in caught.value.message and "could not be downloaded" in caught.value.message
    assert caught.value.hint is not None
    assert "--features domain" in caught.value.hint and "--inception-weights FILE" in caught.value.hint
    assert caught.value.exit_code == 1
    assert len(waits) == 3  # it was tried four times


def test_a_given_file_is_used_and_gives_the_features_of_torch_fidelity(
    untrained: _Untrained, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    listener = _Listener()
    extractor = inception_extractor(weights, device="cpu", reporter=listener)
    images = blobs(6, size=32).images
    found = extractor.extract(images)
    with torch.no_grad():
        features, logits = untrained(torch.from_numpy(images).permute(0, 3, 1, 2))
    np.testing.assert_allclose(found.features, features.numpy(), rtol=1e-4, atol=1e-6)
    assert found.logits is not None
    np.testing.assert_allclose(found.logits, logits.numpy(), rtol=1e-4, atol=1e-6)
    assert found.features.shape == (6, 2048)
    assert len(listener.warnings) == 1 and "not the file that torch-fidelity publishes" in listener.warnings[0]
    assert extractor.name == "inception-v3-compat with random.safetensors"
    grey = extractor.extract(images[..., :1]).features
    same = extractor.extract(np.repeat(images[..., :1], 3, axis=-1)).features
    np.testing.assert_array_equal(grey, same)
    assert capfd.readouterr() == ("", "")


def test_a_whole_comparison_with_inception(weights: Path) -> None:
    found = evaluate_images(
        blobs(24, size=16),
        blobs(12, size=16, seed=1),
        features="inception",
        inception_weights=weights,
        metrics=["fid", "prc", "is"],
        device="cpu",
    )
    assert found.extractor["published"] is False
    assert found.metrics["fid"].n == 12 and found.metrics["fid"].interval is None


class _Payload:
    """What a hostile file would do when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_a_hostile_file_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    path, mark = tmp_path / "evil.pth", tmp_path / "mark"
    torch.save({"fc.weight": _Payload(mark)}, path)
    with pytest.raises(SynthgenError, match="pickles, which can run code"):
        inception_extractor(path, device="cpu")
    assert not mark.exists()


def test_a_harmless_pickle_of_somebody_else_is_not_opened_either(pickled: Path) -> None:
    with pytest.raises(SynthgenError, match="is not the file that torch-fidelity publishes") as caught:
        inception_extractor(pickled, device="cpu")
    assert caught.value.hint is not None and "safetensors.torch.save_file" in caught.value.hint


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file of Inception weights"):
        inception_extractor(tmp_path / "none.pth")
    text = tmp_path / "text.safetensors"
    text.write_text("<html>not found</html>")
    with pytest.raises(SynthgenError, match="not a file of weights"):
        inception_extractor(text)
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, other)
    with pytest.raises(SynthgenError, match="does not hold the weights of torch-fidelity's Inception"):
        inception_extractor(other)


def test_weights_for_other_features_are_refused(weights: Path) -> None:
    with pytest.raises(UsageError, match="--inception-weights belongs to --features inception"):
        evaluate_images(blobs(20), blobs(20, seed=1), inception_weights=weights)


@pytest.fixture
def server(pickled: Path) -> Iterator[str]:
    """Serves the folder of the random weights; `inception/FILE` is what is asked for."""
    folder = pickled.parent / "inception"
    folder.mkdir(exist_ok=True)
    if not (folder / FILE).exists():
        os.link(pickled, folder / FILE)

    class _Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            return None

    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(pickled.parent)))
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


@pytest.mark.usefixtures("nothing_here")
def test_the_weights_are_downloaded_once_and_checked(
    server: str, pickled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real file cannot be had here: another one stands in, with its own checksum."""
    digest = hashlib.sha256(pickled.read_bytes()).hexdigest()
    stand_in = replace(inception.WEIGHTS, files=(RemoteFile(FILE, digest, pickled.stat().st_size),))
    monkeypatch.setattr(inception, "WEIGHTS", stand_in)
    monkeypatch.setattr(inception, "PUBLISHED_SHA256", digest)
    monkeypatch.setenv("SYNTHGEN_MIRROR", server)
    assert inception_extractor(device="cpu").name == "inception-v3-compat"
    monkeypatch.setenv("SYNTHGEN_MIRROR", "http://127.0.0.1:9")
    assert inception_extractor(device="cpu").name == "inception-v3-compat"  # from the cache
    monkeypatch.setattr(inception, "WEIGHTS", replace(stand_in, folders=("elsewhere",)))
    wrong = RemoteFile(FILE, "0" * 64, pickled.stat().st_size)
    monkeypatch.setattr(inception, "WEIGHTS", replace(stand_in, folders=("elsewhere",), files=(wrong,)))
    monkeypatch.setenv("SYNTHGEN_MIRROR", server)
    with pytest.raises(SynthgenError, match="checksum mismatch"):
        inception_extractor(device="cpu", wait=lambda seconds: None)
