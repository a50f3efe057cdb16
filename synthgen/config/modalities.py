"""The table that names modalities: which configuration describes a run on which kind of data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthgen.config.schema import Config
from synthgen.config.series import SeriesConfig
from synthgen.config.tables import TableConfig

AnyConfig = Config | TableConfig | SeriesConfig
"""The configuration of a run on any kind of data."""

ConfigClass = type[Config] | type[TableConfig] | type[SeriesConfig]

CONFIGS: dict[str, ConfigClass] = {"images": Config, "tables": TableConfig, "series": SeriesConfig}
DEFAULT = "images"

UNITS = {"images": "images", "tables": "rows", "series": "windows"}
"""What a sample is called, in the plural."""


def config_class(modality: object) -> ConfigClass:
    """The configuration's class of a modality; that of images for what is none, so that validation says so."""
    return CONFIGS.get(modality, Config) if isinstance(modality, str) else Config


def parse_config(values: Mapping[str, Any]) -> AnyConfig:
    """The configuration in a checkpoint's header. Raises pydantic's ValidationError."""
    return config_class(values.get("modality", DEFAULT)).model_validate(values)
