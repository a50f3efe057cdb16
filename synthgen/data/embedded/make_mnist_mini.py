"""Makes the embedded `mnist-mini` from the full MNIST: `python -m synthgen.data.embedded.make_mnist_mini [FOLDER]`.

10,000 images of MNIST's training split and 2,000 of its test split, each with the class shares of its split, in the
original order. The choice is `synthgen.data.subset.stratified_subset`, which is seeded; the same input makes the same
bytes. It needs the full `mnist` (see `synthgen data list`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from synthgen.data.idx import encode_idx
from synthgen.data.images import load_images
from synthgen.data.registry import KNOWN_SETS


def make(folder: Path) -> list[Path]:
    """Write the four IDX files into `folder`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for split, prefix in (("train", "train"), ("test", "t10k")):
        data = load_images("mnist", split=split, limit=KNOWN_SETS["mnist-mini"].counts[split])
        assert data.labels is not None
        arrays = {"images-idx3": data.images[..., 0], "labels-idx1": data.labels.astype(np.uint8)}
        for kind, array in arrays.items():
            path = folder / f"{prefix}-{kind}-ubyte.gz"
            path.write_bytes(encode_idx(array))
            written.append(path)
    return written


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "mnist-mini"
    for path in make(target):
        sys.stdout.write(f"{path}  {path.stat().st_size:,} bytes\n")
