"""The table that names modalities: which configuration describes a run on which kind of data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

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


def wants_series(overrides: Sequence[str]) -> bool:
    """Whether `key=value` texts of --set mean series: modality=series, or a key that no other modality has.

    The last `modality` decides when there is one; values are not checked here.
    """
    pairs = [text.partition("=") for text in overrides]
    modalities = [value.strip().strip("'\"") for key, _, value in pairs if key.strip() == "modality"]
    if modalities:
        return modalities[-1] == "series"
    others = {key for name, config in CONFIGS.items() if name != "series" for key in _keys(config)}
    own = {key for key in _keys(SeriesConfig) if key not in others}
    return any(key.strip() in own for key, _, _ in pairs)


def _keys(config: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every dotted key of a configuration that holds no group."""
    for name, field in config.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            yield from _keys(group, f"{prefix}{name}.")
        else:
            yield prefix + name
