"""From a config and a codec to a denoiser of rows: the one place that knows which process is which class."""

from __future__ import annotations

from typing import Any

import torch

from synthgen.config.tables import TableConfig
from synthgen.data.tables.codec import TableCodec


def build_table_denoiser(config: TableConfig, codec: TableCodec, precision: torch.dtype) -> Any:
    """A freshly initialised denoiser of the config's process; on the meta device within `torch.device("meta")`."""
    if config.diffusion.process == "gaussian":
        from synthgen.diffusion.table_gaussian import build_gaussian_table_denoiser

        return build_gaussian_table_denoiser(config, codec, precision)
    from synthgen.diffusion.masked import MaskedDenoiser
    from synthgen.models.tables import build_table_network

    return MaskedDenoiser(build_table_network(config.model, codec), precision=precision)
