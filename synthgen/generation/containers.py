"""Samples in containers that stream: Parquet in the image layout of Hugging Face, and WebDataset tar files."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from synthgen.generation.writers import LabelSource
from synthgen.rendering import png_bytes


class _Encoding:
    """PNG bytes of a piece of images; compression runs beside other work, in order."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(2, thread_name_prefix="png")

    def encode(self, images: np.ndarray) -> list[bytes]:
        return list(self.pool.map(png_bytes, images))

    def holds(self, start: int, count: int) -> bool:
        return count == 0  # a container is written in one go

    def discard(self) -> None:
        """Nothing: the container is the result."""


def hub_features(class_names: Sequence[str]) -> dict[str, Any]:
    """The columns as `datasets` describes them: `image`, and `label` with its names."""
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    if class_names:
        features["label"] = {"names": list(class_names), "_type": "ClassLabel"}
    return features


class ParquetWriter(_Encoding):
    """`samples.parquet`: `image` struct{bytes, path} holding PNG, `label` int64; a row group per piece.

    The schema's metadata names the classes, so that `datasets` decodes both columns unasked.
    """

    def __init__(self, out: Path, class_names: tuple[str, ...]) -> None:
        super().__init__()
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = out / "samples.parquet"
        image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        columns = [("image", image), *([("label", pa.int64())] if class_names else [])]
        info = json.dumps({"info": {"features": hub_features(class_names)}})
        self.schema = pa.schema(columns, metadata={"huggingface": info})
        # PNG bytes do not shrink again, and statistics over them would store the images twice.
        self.writer = pq.ParquetWriter(self.path, self.schema, compression="none", write_statistics=["label"])

    def write(self, start: int, images: np.ndarray, labels: np.ndarray | None) -> None:
        import pyarrow as pa

        rows = [{"bytes": data, "path": f"{start + row:09d}.png"} for row, data in enumerate(self.encode(images))]
        columns = [pa.array(rows, self.schema.field("image").type)]
        if labels is not None:
            columns.append(pa.array(labels, pa.int64()))
        self.writer.write_table(pa.Table.from_arrays(columns, schema=self.schema))

    def finish(self, labels: LabelSource) -> list[Path]:
        self.pool.shutdown()
        self.writer.close()
        return [self.path]


class WebDatasetWriter(_Encoding):
    """`samples.tar`: `%09d.png` and, with classes, `%09d.cls` (the label as text) for each sample, one after the other.

    No dates, owners or modes of this machine: the same samples give the same file.
    """

    def __init__(self, out: Path) -> None:
        super().__init__()
        self.path = out / "samples.tar"
        self.tar = tarfile.open(self.path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed in finish

    def write(self, start: int, images: np.ndarray, labels: np.ndarray | None) -> None:
        for row, data in enumerate(self.encode(images)):
            self._add(f"{start + row:09d}.png", data)
            if labels is not None:
                self._add(f"{start + row:09d}.cls", str(int(labels[row])).encode())

    def _add(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(data), 0o644
        self.tar.addfile(member, io.BytesIO(data))
        self.tar.members.clear()  # type: ignore[attr-defined]  # it would remember every member

    def finish(self, labels: LabelSource) -> list[Path]:
        self.pool.shutdown()
        self.tar.close()
        return [self.path]
