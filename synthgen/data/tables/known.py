"""The tables known by name: whose they are, and where their files are found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synthgen.data.locations import data_roots
from synthgen.errors import UsageError


@dataclass(frozen=True)
class KnownTable:
    """A table with a name. files: by split, below any data folder. page: where its owners hand it out."""

    name: str
    title: str
    files: dict[str, str]
    rows: dict[str, int]
    columns: int
    licence: str
    page: str

    def find(self, split: str) -> Path | None:
        """The file of `split` (`all` means the training rows), or None when it is on no data folder of this machine."""
        part = self.files["train" if split == "all" else split]
        return next((root / part for root in data_roots() if (root / part).is_file()), None)

    def path(self, split: str) -> Path:
        """`find`, or a UsageError that says where to get it and where to put it."""
        found = self.find(split)
        if found is None:
            files = " and ".join(self.files.values())
            raise UsageError(
                f"the table {self.name} is not on this machine",
                f"get it from {self.page} and put it as {files} (with a line of column names) below a folder that "
                "SYNTHGEN_DATA_DIR names",
            )
        return found


KNOWN_TABLES = {
    "adult": KnownTable(
        "adult",
        "Adult census income",
        {"train": "tables/adult_train.csv", "test": "tables/adult_test.csv"},
        {"train": 32_561, "test": 16_281},
        15,
        "CC BY 4.0",
        "https://archive.ics.uci.edu/dataset/2/adult",
    )
}
