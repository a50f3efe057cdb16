"""The table of modalities as training sees them: how data is loaded, and what is built to learn it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from synthgen.config.modalities import AnyConfig
from synthgen.config.schema import Config
from synthgen.config.series import SeriesConfig
from synthgen.data.dataset import ImageData
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop, never_stop
from synthgen.training.subject import Subject

if TYPE_CHECKING:
    from synthgen.data.series.schema import SeriesData
    from synthgen.data.tables.schema import TableData

    AnyData = ImageData | TableData | SeriesData
else:
    AnyData = object


def load_data(config: AnyConfig, reporter: Reporter | None = None, should_stop: ShouldStop = never_stop) -> AnyData:
    """The training data that a config names. Raises UsageError when it is not there or not of its modality."""
    # Each modality imports what it needs when it is needed: diffusers alone costs seconds.
    if isinstance(config, Config):
        from synthgen.training import images

        return images.load_data(config, reporter, should_stop)
    if isinstance(config, SeriesConfig):
        from synthgen.training import series

        return series.load_data(config, reporter, should_stop)
    from synthgen.training import tables

    return tables.load_data(config, reporter, should_stop)


def settled(config: AnyConfig, data: AnyData) -> AnyConfig:
    """The settings as they are used for `data`: where a number depends on how much there is, that number."""
    if isinstance(config, Config):
        from synthgen.training import distill

        return distill.settled(config)
    if isinstance(config, SeriesConfig):
        from synthgen.data.series.schema import SeriesData
        from synthgen.training import series

        return series.settled(config, data) if isinstance(data, SeriesData) else config
    return config.for_rows(len(data))


def build_subject(config: AnyConfig, data: AnyData, device: torch.device, origin: Path | None = None) -> Subject:
    """What learns `data`, freshly initialised on `device`. Raises UsageError when config and data do not fit.

    origin: the checkpoint whose weights a distillation or a fine-tuning starts from.
    """
    if isinstance(config, Config) and isinstance(data, ImageData):
        if config.distill is not None:
            from synthgen.training import distill

            return distill.DistilledSubject(config, config.distill, data, device, origin)
        from synthgen.training import images

        return images.ImageSubject(config, data, device, origin)
    if isinstance(config, SeriesConfig):
        from synthgen.data.series.schema import SeriesData
        from synthgen.training import series

        if isinstance(data, SeriesData):
            return series.SeriesSubject(config, data, device)
    from synthgen.data.tables.schema import TableData
    from synthgen.training import tables

    if isinstance(config, (Config, SeriesConfig)) or not isinstance(data, TableData):
        raise TypeError(f"a configuration of {config.modality} and data of type {type(data).__name__}")
    return tables.TableSubject(config, data, device)
