"""What options of `synthgen sample` may be set to, and which kind of model understands them."""

from __future__ import annotations

from enum import Enum

from synthgen.errors import UsageError


class Format(str, Enum):
    """What samples are written as; a test keeps this list equal to what images, tables and series are written as."""

    png = "png"
    npz = "npz"
    idx = "idx"
    parquet = "parquet"
    webdataset = "webdataset"
    csv = "csv"
    tsv = "tsv"


class Sampler(str, Enum):
    """The samplers; a test keeps this list equal to `synthgen.diffusion.samplers.SAMPLERS`."""

    ddpm = "ddpm"
    ddim = "ddim"
    euler = "euler"
    heun = "heun"
    dpmpp_2m = "dpm++2m"
    dpmpp_2m_sde = "dpm++2m-sde"
    dpmpp_3m = "dpm++3m"
    consistency = "consistency"


class Quality(str, Enum):
    """The choices of a sampler card; a test keeps this list equal to `synthgen.evaluation.sampler_card.QUALITIES`."""

    fast = "fast"
    balanced = "balanced"
    best = "best"


class Compile(str, Enum):
    """When to compile; a test keeps this list equal to `synthgen.generation.compiling.MODES`."""

    auto = "auto"
    always = "always"
    never = "never"


_PICTURES, _ROWS, _SERIES = "images", "tables", "series"
_OWNERS = {
    "--class": (_PICTURES, _SERIES),
    "--prompt": (_PICTURES,),
    "--sampler": (_PICTURES, _SERIES),
    "--noise-levels": (_PICTURES,),
    "--eta": (_PICTURES, _SERIES),
    "--guidance-scale": (_PICTURES, _SERIES),
    "--guidance-interval": (_PICTURES,),
    "--autoguidance": (_PICTURES,),
    "--quality": (_PICTURES,),
    "--compile": (_PICTURES,),
    "--block-size": (_PICTURES,),
    "--where": (_ROWS, _SERIES),
    "--complete": (_ROWS, _SERIES),
    "--draws": (_ROWS, _SERIES),
    "--allow-missing": (_ROWS, _SERIES),
    "--escape-formulas": (_ROWS, _SERIES),
    "--balance": (_ROWS,),
    "--temperature": (_ROWS,),
    "--quantiles": (_SERIES,),
    "--length": (_SERIES,),
    "--start": (_SERIES,),
}
"""Which kinds of models understand an option; all others are understood by all of them."""
_MODELS = {_PICTURES: "images", _ROWS: "a table", _SERIES: "series"}


def refuse_foreign(options: dict[str, object], modality: str, run: str) -> None:
    """Raises UsageError for options that were given and belong to another kind of model."""
    there = {name for name, value in options.items() if not (value is None or value is False or value == [])}
    foreign = [name for name in options if name in there and modality not in _OWNERS[name]]
    if foreign:
        owners = [f"of {_MODELS[one]}" for one in _MODELS if any(one in _OWNERS[name] for name in foreign)]
        verb = "belongs" if len(foreign) == 1 else "belong"
        raise UsageError(
            f"{', '.join(foreign)} {verb} to a model {' or '.join(owners)}, and {run} is one of "
            f"{_MODELS.get(modality, modality)}"
        )
