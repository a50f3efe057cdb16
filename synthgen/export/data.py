"""A set of samples as a folder that the library `datasets` loads: checked, with its card and without local paths."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from synthgen.errors import SynthgenError, UsageError
from synthgen.generation.contents import Contents, open_contents
from synthgen.generation.fileshards import FileShardSet
from synthgen.generation.manifest import MANIFEST, Origin, parse, plan_and_origin
from synthgen.generation.merge import shard_pixels
from synthgen.generation.numerics import encoder_versions
from synthgen.generation.shards import ShardSet, read_document
from synthgen.generation.storage import LocalStore, is_remote, open_store, sha256_of_file, without_scheme
from synthgen.generation.targets import manifest_path
from synthgen.generation.verify import folder_pieces, verify_samples
from synthgen.generation.writers import check_format
from synthgen.outputs import MARKER, atomic_write, check_output, prepare_output, put_folder
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop


@dataclass(frozen=True)
class DataResult:
    """A written folder. modality: images, tables or series. count: samples."""

    path: Path
    source: str
    modality: str
    count: int
    checkpoint_sha256: str
    files: tuple[str, ...]
    size_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        about = asdict(self)
        return {"out": str(about.pop("path")), **about, "files": list(self.files)}


def check_data(source: str) -> dict[str, Any]:
    """The manifest of the set at `source`, a folder, a URL or a file of rows or sequences.

    Raises: UsageError when there is none, when it is not finished, or when `datasets` cannot read what it would become.
    """
    document = _document(source)
    if document.get("finished") is not True:
        raise UsageError(f"{source} is not finished", "go on with `synthgen sample ... --resume`, then export it")
    if document.get("modality", "images") == "images":
        check_format("parquet")
    elif str(document["plan"].get("format")) == "npz":
        raise UsageError("`datasets` does not read sequences in npz", "sample them again with --format csv or parquet")
    return document


def export_data(
    source: str | Path,
    out: Path,
    *,
    force: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> DataResult:
    """Write the set at `source`, made by `synthgen sample`, to the folder `out` for `datasets` and the hub.

    Images become Parquet with an image feature and the names of the classes; rows and sequences stay the file that they
    are. Beside them manifest and card. Everything is checked against the manifest, before and after.

    Raises: UsageError as `check_data`, and for an existing `out`; SynthgenError for a set that is damaged.
    """
    reporter, place = reporter or NullReporter(), out.resolve()
    document = check_data(str(source))
    check_output(out, force=force)
    _check_whole(source, reporter, should_stop)
    place.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    try:
        prepare_output(building)
        contents = open_contents(document, str(source))
        if contents is None:
            _images(str(source), document, building, reporter, should_stop)
        else:
            _file(str(source), contents, building)
        _check_whole(building, reporter, should_stop)
        put_folder(building, place)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    written = sorted(path for path in out.rglob("*") if path.is_file() and path.name != MARKER)
    return DataResult(
        path=out,
        source=str(source),
        modality=str(document.get("modality", "images")),
        count=int(document["plan"]["count"]),
        checkpoint_sha256=str(document["plan"]["checkpoint_sha256"]),
        files=tuple(path.relative_to(out).as_posix() for path in written),
        size_bytes=sum(path.stat().st_size for path in written),
    )


def _document(source: str) -> dict[str, Any]:
    if not is_remote(source) and Path(without_scheme(source)).is_file():
        path = manifest_path(without_scheme(source))
        if not path.is_file():
            raise UsageError(f"{source} has no manifest", "`synthgen sample` writes one beside what it makes")
        return parse(path.read_bytes(), str(path))
    return read_document(open_store(source))


def _check_whole(source: str | Path, reporter: Reporter, should_stop: ShouldStop) -> None:
    report = verify_samples(source, reporter=reporter, should_stop=should_stop)
    if not report.whole:
        problems = [*report.missing, *report.damaged, *report.extra]
        more = f"; and {len(problems) - 3:,} more" if len(problems) > 3 else ""
        raise SynthgenError(
            f"{source} is not what its manifest says: {'; '.join(problems[:3])}{more}",
            f"`synthgen sample verify {source}` names all of it",
        )


def _images(source: str, document: dict[str, Any], folder: Path, reporter: Reporter, should_stop: ShouldStop) -> None:
    """Shards of Parquet: those of the set, or one."""
    plan, origin = plan_and_origin(document, f"{source}/{MANIFEST}")
    found = ShardSet(open_store(source), plan, origin)
    kept = {name: number for name, number in plan.versions.items() if name not in ("pillow", "pyarrow")}
    versions = {**kept, **encoder_versions("parquet")}
    target = ShardSet(
        open_store(str(folder)),
        replace(plan, format="parquet", versions=versions, shards=plan.shards or 1),
        Origin(origin.class_names, origin.image, _nameless(origin.model), origin.versions),
    )
    target.begin()
    with reporter.progress("writing", target.total, "shards") as progress:
        for shard in range(target.total):
            target.write(shard, _pixels(found, shard), should_stop=should_stop)
            progress.update(shard + 1)
    target.finish(target.record(shard) for shard in range(target.total))


def _pixels(found: ShardSet, shard: int) -> Iterator[np.ndarray]:
    if found.plan.shards is not None:
        yield from shard_pixels(found, shard)
    else:
        yield from (images for images, _ in folder_pieces(found, found.plan.count))


def _file(source: str, contents: Any, folder: Path) -> None:
    """One file of rows or sequences, byte for byte the one that is there, or made of its shards."""
    origin = replace(contents.origin, model=_nameless(contents.origin.model))
    single: Contents = replace(contents.single(), origin=origin)
    data = folder / f"{contents.stem}{contents.plan.suffix}"
    if contents.plan.shards is not None:
        shards = FileShardSet(open_store(source), contents)
        names = [shards.data_names(shard)[0] for shard in range(shards.total)]
        contents.merge([partial(shards.store.open, name) for name in names], data)
    else:
        shutil.copyfile(_data_file(Path(without_scheme(source))), data)
    sha256, size = sha256_of_file(data)
    listed = [{"name": data.name, "bytes": size, "sha256": sha256}]
    atomic_write(folder / MANIFEST, single.describe(finished=True, count=single.plan.count, files=listed))
    atomic_write(folder / "README.md", single.card().encode())


def _data_file(source: Path) -> Path:
    """The file of a set that is one, or the one in its folder."""
    if source.is_file():
        return source
    (entry,) = read_document(LocalStore(source))["files"]
    return source / str(entry["name"])


def _nameless(model: dict[str, Any]) -> dict[str, Any]:
    """What a manifest says of its model, without places on the machine that made it: names stay."""
    data = {**model["data"], "name": Path(str(model["data"].get("name", ""))).name}
    return {**model, "path": Path(str(model.get("path", ""))).name, "data": data}
