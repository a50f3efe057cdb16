"""Where rows or sequences go: a file with its manifest beside it, or a folder. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synthgen.data.classes import MANIFEST
from synthgen.errors import UsageError
from synthgen.outputs import check_output

SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet", ".pq": "parquet", ".npz": "npz"}
"""The formats that ends of names say; npz is of series only."""


@dataclass(frozen=True)
class Target:
    """out: as it was asked for. file: the data. folder: `out` is a folder with data, manifest and card."""

    out: Path
    file: Path
    folder: bool

    @property
    def manifest(self) -> Path:
        return self.out / MANIFEST if self.folder else manifest_path(self.file)

    @property
    def workspace(self) -> Path:
        """Holds the pieces; hidden, beside the file, so that a rename moves what was made."""
        return self.file.parent / f".{self.file.name}.partial"

    def check(self, *, force: bool, resume: bool) -> None:
        """Refuse, before any work begins, what `check_output` refuses, and to leave an interrupted file behind."""
        if self.folder or not (resume and self.file.is_file() and not self.file.is_symlink() and not force):
            check_output(self.out, force=force, resume=resume)
        if not (force or resume) and self.workspace.is_dir():
            raise UsageError(
                f"{self.file} was begun already and not finished", "give --resume to go on, or --force to start anew"
            )


def target_of(out: str | Path, format_: str, packed: bool = False, stem: str = "table") -> Target:
    """The target that `out` names: a file when it ends like one, else a folder with one called `stem` in it."""
    path = Path(out)
    if named_format(path)[0] is not None:
        return Target(path, path, folder=False)
    return Target(path, path / f"{stem}.{format_}{'.gz' if packed else ''}", folder=True)


def named_format(out: str | Path) -> tuple[str | None, bool]:
    """The format that the end of a name says, and whether it says .gz; None for the name of a folder.

    Raises UsageError for Parquet or npz in gzip.
    """
    path = Path(str(out).lower())
    packed = path.suffix == ".gz"
    found = SUFFIXES.get(Path(path.stem).suffix if packed else path.suffix)
    if Path(out).is_dir() or found is None:
        return None, False
    if packed and found == "parquet":
        raise UsageError(f"{out}: Parquet compresses its columns itself", "give --out FILE.parquet")
    if packed and found == "npz":
        raise UsageError(f"{out}: npz compresses its arrays itself", "give --out FILE.npz")
    return found, packed


def manifest_path(out: str | Path) -> Path:
    """Where the manifest of a file, or of a folder, lies: FILE.manifest.json, or manifest.json in the folder."""
    path = Path(out)
    return path / MANIFEST if path.is_dir() else path.with_name(f"{path.name}.{MANIFEST}")
