"""Fine-tuning: what a network takes over from a trained one, what it learns anew, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthgen.checkpoints import load_checkpoint, save_checkpoint
from synthgen.config.loading import dump_config
from synthgen.config.schema import Config, ModelConfig, StartConfig
from synthgen.data import load_images
from synthgen.data.captions import Vocabulary
from synthgen.errors import SynthgenError, UsageError
from synthgen.generation.model import Model, load
from synthgen.models.images import build_network
from synthgen.runs import list_checkpoints, resolve_run
from synthgen.training.choosing import choose_settings
from synthgen.training.distill_settings import distilled_settings
from synthgen.training.run import train
from synthgen.training.starting import begin_from
from synthgen.training.subjects import build_subject
from tests.conftest import TINY, two_corners

pytestmark = pytest.mark.usefixtures("one_thread")

QUIET = ("training.batch_size=32", "training.precision=fp32", "training.checkpoint_every=1h", "sampling.card=never")


def settings(start: Path, data: Path, *overrides: str, **more: Any) -> Config:
    config = choose_settings(str(data), start=start, overrides=[*QUIET, *overrides], **more).config
    assert isinstance(config, Config)
    return config


def built(config: Config, origin: Path) -> Any:
    return build_subject(config, load_images(config.data.source), torch.device("cpu"), resolve_run(origin))


def test_the_origin_brings_network_and_weights(tiny_run: Path, corners_npz: Path) -> None:
    config = settings(tiny_run, corners_npz)
    header, tensors = load_checkpoint(resolve_run(tiny_run))
    assert config.model.model_dump(mode="json") == header["config"]["model"]
    assert config.start is not None and (config.start.model, config.start.sha256) == ("tiny", header["sha256"])
    subject = built(config, tiny_run)
    assert subject.describe()["starts from"] == "tiny: all weights taken over"
    for name, tensor in subject.denoiser.network.state_dict().items():
        assert torch.equal(tensor, tensors[name]), name


@pytest.mark.parametrize("change", ["model.attention_resolutions=[4]", "model.attention_resolutions=[8,4]"])
def test_a_new_attention_layer_changes_no_answer(tiny_run: Path, corners_npz: Path, change: str) -> None:
    with_attention = ("model.attention_head_dim=8", change)
    subject = built(settings(tiny_run, corners_npz, *with_attention), tiny_run)
    assert "attentions" in subject.describe()["starts from"]
    before = load(tiny_run, device="cpu").denoiser.network
    x, time, labels = torch.randn(6, 1, 8, 8), torch.linspace(-1, 1, 6), torch.arange(6) % 3
    with torch.no_grad():
        torch.testing.assert_close(subject.denoiser.network(x, time, labels), before(x, time, labels))
    last = subject.denoiser.network.unet.mid_block.attentions[0].to_out[0].weight
    assert last.abs().max() == 0 and last.requires_grad


def test_other_classes_learn_their_embedding_anew(tiny_run: Path, tmp_path: Path) -> None:
    images = two_corners(90)[0]
    np.savez(tmp_path / "three.npz", images=images, labels=np.arange(90) % 3)
    subject = built(settings(tiny_run, tmp_path / "three.npz"), tiny_run)
    told = subject.describe()["starts from"]
    assert "class_embedding" in told and "learned anew" in told and "conv" not in told


def embedding(subject: Any) -> torch.Tensor:
    weights: torch.Tensor = subject.denoiser.network.unet.class_embedding.weight.detach()
    return weights


def test_classes_are_taken_over_by_name(tiny_run: Path, corners_npz: Path, tmp_path: Path) -> None:
    """Named in another order, and with one more: what was told `top` is still told so."""
    theirs = load_checkpoint(resolve_run(tiny_run))[1]["unet.class_embedding.weight"]  # top, bottom, none
    images, labels = two_corners(90)
    np.savez(tmp_path / "turned.npz", images=images, labels=1 - labels, class_names=np.array(["bottom", "top"]))
    turned = built(settings(tiny_run, tmp_path / "turned.npz"), tiny_run)
    assert turned.describe()["starts from"] == "tiny: all weights taken over"
    assert torch.equal(embedding(turned), theirs[[1, 0, 2]])
    names = np.array(["left", "top", "bottom"])
    np.savez(tmp_path / "more.npz", images=images, labels=np.arange(90) % 3, class_names=names)
    more = built(settings(tiny_run, tmp_path / "more.npz"), tiny_run)
    assert torch.equal(embedding(more)[1:], theirs)
    assert "learned anew: unet.class_embedding" in more.describe()["starts from"]


def test_words_are_taken_over_by_name(tmp_path: Path) -> None:
    """A model of captions, started from one that knows some of their words at other numbers."""

    def network(vocabulary: Vocabulary) -> Any:
        table = vocabulary.table(["red"], lenient=True)
        config = ModelConfig(channels=(8, 8), norm_groups=4, attention_head_dim=8, conditioning="cross-attention")
        return build_network(config, (8, 8, 1), 1, table), config

    old, new = Vocabulary(("red", "square"), 4), Vocabulary(("blue", "red", "square"), 4)
    (learned, config), (fresh, _) = network(old), network(new)
    header = {
        "kind": "model",
        "modality": "images",
        "config": Config(model=config).model_dump(mode="json"),
        "codec": {"height": 8, "width": 8, "channels": 1},
        "class_names": ["red"],
        "sigma_data": 0.5,
        "vocabulary": {"words": list(old.words), "length": 4},
        "data": {"name": "a", "split": "train", "count": 1, "fingerprint": ""},
        "training": {
            "steps": 1,
            "images_seen": 1,
            "seconds": 1.0,
            "loss": 1.0,
            "finished": True,
            "device": "cpu",
            "precision": "float32",
        },
        "versions": {},
    }
    path = tmp_path / "old.safetensors"
    save_checkpoint(path, dict(learned.state_dict()), header)
    origin = StartConfig(model="old", sha256=load_checkpoint(path)[0]["sha256"])
    blue = fresh.unet.token_embedding.token.weight[1].clone()
    taken = begin_from(path, origin, fresh, ("red",), new)
    theirs, mine = (one.unet.token_embedding.token.weight for one in (learned, fresh))
    assert torch.equal(mine[[0, 2, 3]], theirs) and torch.equal(mine[1], blue)
    assert taken.new == ("unet.token_embedding.token.weight",) and 0.98 < taken.share < 1


def test_a_few_steps_from_a_model_beat_as_many_from_nothing(tiny_run: Path, corners_npz: Path, tmp_path: Path) -> None:
    """After 12 steps: the origin's weights draw the bright corner, new ones still draw noise."""
    apart = {}
    for name, start in (("tuned", tiny_run), ("new", None)):
        overrides = [*(() if start else TINY), *QUIET, "training.steps=12"]
        config = choose_settings(str(corners_npz), start=start, overrides=overrides).config
        origin = None if start is None else resolve_run(start)
        model = load(train(config, tmp_path / name, device="cpu", origin=origin).checkpoint, device="cpu")
        assert isinstance(model, Model)
        images = model.sample(32, steps=6)[::2].astype(float)  # of the first class
        apart[name] = images[:, :4, :4].mean() - images[:, 4:, 4:].mean()
    assert apart["tuned"] > 150 > 75 > abs(apart["new"]), apart


def test_resume_needs_no_origin_once_a_state_is_there(tiny_run: Path, corners_npz: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(settings(tiny_run, corners_npz, "training.steps=4"), out, device="cpu", origin=resolve_run(tiny_run))
    longer = choose_settings(resumed=out, flags={"training.steps": 6}).config
    assert train(longer, out, device="cpu", resume=True).steps == 6
    again = choose_settings(resumed=out, start=tiny_run, flags={"training.steps": 7}).config
    assert train(again, out, device="cpu", resume=True, origin=resolve_run(tiny_run)).steps == 7
    for path in list_checkpoints(out, "state"):
        path.unlink()
    with pytest.raises(UsageError, match="starts from tiny, whose weights are not given"):
        train(longer, out, device="cpu", resume=True)


def test_an_origin_that_was_moved_is_still_the_same(tiny_run: Path, corners_npz: Path, tmp_path: Path) -> None:
    out, moved = tmp_path / "run", tmp_path / "moved.safetensors"
    changed = settings(tiny_run, corners_npz, "training.steps=2", "diffusion.label_dropout=0.2")
    train(changed, out, device="cpu", origin=resolve_run(tiny_run))
    moved.write_bytes(resolve_run(tiny_run).read_bytes())
    again = choose_settings(resumed=out, start=moved, flags={"training.steps": 3}).config
    assert isinstance(again, Config) and again.diffusion.label_dropout == 0.2 and again.start == changed.start
    assert train(again, out, device="cpu", resume=True, origin=moved).steps == 3


def test_a_distillation_starts_from_its_teacher_alone(tiny_run: Path, tmp_path: Path) -> None:
    config = distilled_settings(tiny_run)[1]
    (tmp_path / "fast.yaml").write_text(dump_config(config))
    with pytest.raises(UsageError, match="distils tiny, which is what it starts from"):
        choose_settings(config=tmp_path / "fast.yaml", start=tiny_run)


def test_settings_of_another_version_are_no_bug(tiny_run: Path, corners_npz: Path, tmp_path: Path) -> None:
    header, tensors = load_checkpoint(resolve_run(tiny_run))
    header["config"]["model"]["wings"] = 2
    save_checkpoint(tmp_path / "newer.safetensors", tensors, header)
    for named in ("start", "distill"):
        with pytest.raises(SynthgenError, match=r"config\.model\.wings"):
            choose_settings(
                **({"what": str(corners_npz)} if named == "start" else {}), **{named: tmp_path / "newer.safetensors"}
            )  # type: ignore[arg-type]


def test_what_the_origin_learned_from_is_not_held_out(tiny_run: Path, corners_npz: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="learned from 51 of the 51 images that are to be held out") as caught:
        built(settings(tiny_run, corners_npz, "data.validation=0.2"), tiny_run)
    assert caught.value.hint == "--set data.validation=0 holds out what it never saw"
    first = settings(tiny_run, corners_npz, "training.steps=1", "data.validation=0.2")
    out = tmp_path / "first"
    train(first.model_copy(update={"start": None}), out, device="cpu")
    for share in (0.2, 0.1, 0.0):
        built(settings(out, corners_npz, f"data.validation={share}"), out)
    with pytest.raises(UsageError, match="learned from 13 of the 64"):
        built(settings(out, corners_npz, "data.validation=0.25"), out)
    images = two_corners(90)
    np.savez(tmp_path / "others.npz", images=images[0], labels=images[1], class_names=np.array(["top", "bottom"]))
    built(settings(tiny_run, tmp_path / "others.npz", "data.validation=0.2"), tiny_run)


def test_another_checkpoint_than_the_named_one_is_refused(tiny_run: Path, corners_npz: Path, tmp_path: Path) -> None:
    config = settings(tiny_run, corners_npz, "training.steps=2")
    other = train(config, tmp_path / "other", device="cpu", origin=resolve_run(tiny_run)).checkpoint
    with pytest.raises(UsageError, match=r"not the checkpoint that start\.sha256 names"):
        train(config, tmp_path / "new", device="cpu", origin=other)
    assert not (tmp_path / "new").exists()


def test_nothing_in_common_is_refused(tiny_run: Path, corners_npz: Path) -> None:
    config = settings(tiny_run, corners_npz, "model.channels=[12, 20]")
    with pytest.raises(UsageError, match="nothing would be gained"):
        built(config, tiny_run)


def test_tables_are_refused(table_run: Path, corners_npz: Path) -> None:
    with pytest.raises(UsageError, match="is for tables; only models of images"):
        settings(table_run, corners_npz)


def test_from_and_distill_together_are_refused(cli: Any, tiny_run: Path) -> None:
    result = cli("train", "--from", str(tiny_run), "--distill", str(tiny_run))
    assert result.returncode == 2 and "--from and --distill both say what to start from" in result.stderr


def test_the_plan_says_what_is_taken_over(cli: Any, tiny_run: Path, corners_npz: Path) -> None:
    words = ["train", "--data", str(corners_npz), "--from", str(tiny_run), "--steps", "3", "--dry-run"]
    result = cli(*words)
    assert result.returncode == 0 and "tiny: all weights taken over" in result.stdout
