"""Did the generator see more real data than the classifier it is to help? Read from manifests and checkpoints.

The claim that synthetic images help is empty when the generator was trained on images that the classifier does not
have: then they are a way to hand those images over.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from synthgen.data.classes import MANIFEST, SAMPLES_KIND
from synthgen.data.dataset import ImageData
from synthgen.data.subset import stratified_subset
from synthgen.errors import UsageError

_MOST_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Provenance:
    """What a generator was trained on."""

    name: str
    split: str
    count: int
    fingerprint: str


@dataclass(frozen=True)
class LeakCheck:
    """The finding.

    status: clean; more (the generator saw more of the real images); test (it saw the test images); other (it saw other
    images); unknown.
    """

    status: Literal["clean", "more", "test", "other", "unknown"]
    message: str
    generator: Provenance | None

    @property
    def clean(self) -> bool:
        return self.status == "clean"

    @property
    def refused(self) -> bool:
        """Whether the experiment needs --allow-leak: the generator is known to have seen images that the classifier
        has not. Of unknown origin is allowed, and said wherever the result is."""
        return self.status in ("more", "test", "other")

    def require(self, *, allow_leak: bool) -> None:
        """Raise UsageError for a known leak, unless it is allowed."""
        if self.refused and not allow_leak:
            raise UsageError(
                f"leak: {self.message}",
                "train the generator on what the classifier learns from: --train-generator does it, or `synthgen train "
                "... --set data.limit=N` with the N of --real-size; or give --allow-leak, and the report will say so",
            )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def provenance(data: dict[str, Any] | None) -> Provenance | None:
    """From the `data` of a checkpoint's header; None when it does not say enough."""
    try:
        assert data is not None
        return Provenance(str(data["name"]), str(data["split"]), int(data["count"]), str(data["fingerprint"]))
    except (AssertionError, KeyError, TypeError, ValueError):
        return None


def provenance_of_samples(folder: Path) -> Provenance | None:
    """From the manifest that `synthgen sample` leaves beside its images; None when there is none of ours."""
    path = (folder if folder.is_dir() else folder.parent) / MANIFEST
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(manifest, dict) or manifest.get("kind") != SAMPLES_KIND:
        return None
    model = manifest.get("model")
    return provenance(model.get("data")) if isinstance(model, dict) else None


def check_leak(
    generator: Provenance | None,
    real: ImageData,
    used: ImageData,
    test: ImageData,
    *,
    test_from_real: bool,
    thinned: bool = False,
) -> LeakCheck:
    """Compare the generator's training data with the classifier's.

    real: the whole real set; used: what the classifier is trained on; test: what it is tested on; test_from_real: the
    test images were cut from `real`; thinned: some classes of `used` were cut down, so that it is no nested part.
    """
    if generator is None:
        return LeakCheck(
            "unknown",
            "it is not known which images the generator was trained on (no manifest and no checkpoint of ours): if it "
            "saw more than the classifier's real images, a gain says nothing",
            None,
        )
    part = generator.fingerprint == real.fingerprint or _is_part(generator, real)
    reaches_test = test_from_real and part and generator.count > len(real) - len(test)
    if generator.fingerprint == used.fingerprint:
        text = f"the generator was trained on exactly the classifier's {len(used):,} real images"
        return LeakCheck("clean", text, generator)
    if reaches_test or _saw_test(generator, test):
        text = "the generator was trained on images that the classifiers are tested on: the result is void"
        return LeakCheck("test", text, generator)
    if part and generator.count <= len(used) and not thinned:
        text = f"the generator was trained on {generator.count:,} of the classifier's {len(used):,} real images"
        return LeakCheck("clean", text, generator)
    if part:
        text = (
            f"the generator was trained on {generator.count:,} real images, the classifier has "
            f"{'other ' if generator.count <= len(used) else ''}{len(used):,}: a gain may be those other images "
            "and not the generator"
        )
        return LeakCheck("more", text, generator)
    text = (
        f"the generator was trained on {generator.count:,} images of {generator.name} that are not the classifier's "
        f"{len(used):,} real images: a gain may come from them"
    )
    return LeakCheck("other", text, generator)


def _saw_test(generator: Provenance, test: ImageData) -> bool:
    same_source = generator.name == test.name and test.split == "test" and generator.split in ("test", "all")
    return same_source or generator.fingerprint == test.fingerprint


def _is_part(generator: Provenance, real: ImageData) -> bool:
    """Whether the generator had the `limit`ed part of `real`; parts are nested."""
    if not 0 < generator.count < len(real):
        return False
    index = stratified_subset(real.labels, len(real), generator.count)
    return real.select(index).fingerprint == generator.fingerprint
