"""The series known by name: whose they are, where their files are found, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthgen.config.series import SeriesDataConfig
from synthgen.data.locations import data_roots
from synthgen.errors import UsageError


@dataclass(frozen=True)
class KnownSeries:
    """Series with a name. file: below any data folder, "" for what is made from a seed. shape: in words.

    settings: entries of `SeriesDataConfig` that its owners' description demands; what a user says goes first. page:
    where its owners hand it out.
    """

    name: str
    title: str
    file: str
    shape: str
    licence: str
    page: str
    settings: dict[str, Any] = field(default_factory=dict)

    def find(self) -> Path | None:
        """Its file, or None when it is on no data folder of this machine or made from a seed."""
        if not self.file:
            return None
        return next((root / self.file for root in data_roots() if (root / self.file).is_file()), None)

    def path(self) -> Path:
        """`find`, or a UsageError that says where to get it and where to put it."""
        found = self.find()
        if found is None:
            raise UsageError(
                f"the series {self.name} are not on this machine",
                f"get them from {self.page} and put them as {self.file} below a folder that SYNTHGEN_DATA_DIR names",
            )
        return found

    def configured(self, config: SeriesDataConfig) -> SeriesDataConfig:
        """`config` with what belongs to these series wherever it holds a default."""
        default = SeriesDataConfig()
        wanted = {key: value for key, value in self.settings.items() if getattr(config, key) == getattr(default, key)}
        return config.model_copy(update=wanted)


_UEA = "https://www.timeseriesclassification.com"
_MISSING = SeriesDataConfig().missing

KNOWN_SERIES = {
    known.name: known
    for known in (
        KnownSeries(
            "stocks",
            "Google stock, daily, 2004 to 2019 (TimeGAN's file)",
            "series/stock_data.csv",
            "3,685 x 6",
            "not stated",
            "https://github.com/jsyoon0823/TimeGAN",
        ),
        KnownSeries(
            "etth1",
            "Electricity transformer temperature, hourly",
            "series/ETTh1.csv",
            "17,420 x 7",
            "CC BY-ND 4.0",
            "https://github.com/zhouhaoyi/ETDataset",
        ),
        KnownSeries(
            "air-quality",
            "Air quality in a street, hourly, with gaps",
            "series/air_quality.csv",
            "9,356 x 13",
            "CC BY 4.0",
            "https://archive.ics.uci.edu/dataset/360/air+quality",
            {"missing": (*_MISSING, "-200", "-200.0")},
        ),
        KnownSeries(
            "basic-motions",
            "Motions of the wrist, 4 classes",
            "series/BasicMotions.npz",
            "40 + 40 of 100 x 6",
            "not stated",
            f"{_UEA}/description.php?Dataset=BasicMotions",
        ),
        KnownSeries(
            "italy-power-demand",
            "Power demand of days in Italy, 2 seasons",
            "series/ItalyPowerDemand.npz",
            "67 + 1,029 of 24 x 1",
            "not stated",
            f"{_UEA}/description.php?Dataset=ItalyPowerDemand",
        ),
        KnownSeries(
            "japanese-vowels",
            "Utterances of 9 speakers, of 7 to 29 steps",
            "series/JapaneseVowels.npz",
            "270 + 370 of up to 29 x 12",
            "CC BY 4.0",
            "https://archive.ics.uci.edu/dataset/128/japanese+vowels",
        ),
        KnownSeries(
            "sines", "Sines of random frequency and phase, as TimeGAN makes them", "", "10,000 of 24 x 5", "CC0", ""
        ),
    )
}
