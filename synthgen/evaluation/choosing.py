"""From what `--features` names to an extractor."""

from __future__ import annotations

from pathlib import Path

from synthgen.data.dataset import ImageData
from synthgen.errors import UsageError, nearest
from synthgen.evaluation.domain import domain_extractor, extractor_from_file
from synthgen.evaluation.extractors import Extractor
from synthgen.evaluation.inception import inception_extractor
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop, never_stop

FEATURES = ("domain", "inception")


def choose_extractor(
    features: str | Path | Extractor,
    reference: ImageData,
    *,
    weights: Path | None = None,
    device: str = "auto",
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Extractor:
    """The extractor that is meant: `domain` (that of the reference images), `inception`, or a file.

    Raises: UsageError for an unknown name, or weights that nobody asked for.
    """
    if isinstance(features, Extractor):
        return features
    if weights is not None and features != "inception":
        raise UsageError("--inception-weights belongs to --features inception", "add --features inception")
    if features == "domain":
        return domain_extractor(reference, device=device, reporter=reporter, should_stop=should_stop)
    if features == "inception":
        return inception_extractor(weights, device=device, reporter=reporter, should_stop=should_stop)
    path = Path(features)
    if not path.is_file():
        raise UsageError(
            f"there are no features '{features}', and no file of that name{nearest(str(features), FEATURES)}",
            "use domain, inception, or the file of a domain extractor",
        )
    return extractor_from_file(path, device=device)
