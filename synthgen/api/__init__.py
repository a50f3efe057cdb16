"""Every verb as one Python call: the same core functions that the commands call, with the same defaults."""

from synthgen.api.measuring import augment_classifier, evaluate
from synthgen.api.models import explain, export, train
from synthgen.api.sampling import sample, sample_shards

__all__ = ["augment_classifier", "evaluate", "explain", "export", "sample", "sample_shards", "train"]
