"""The part `speed` of the page of results, from what `images_speed.py` measured."""

from __future__ import annotations

import statistics
from typing import Any

from images_page import header, number, spread, table
from images_speed_sides import clock

TITLES = {"patches": "14 x 14 patches, channels 64, 128", "pixels": "28 x 28 pixels, channels 32, 64, 128"}
WORDS = """\
## Images a second, beside diffusers' pipelines

`images_speed.py` trains small networks for a moment, exports them, and lets synthgen and diffusers draw with the same
weights: the export's own check finds that both draw the same images. *pipeline* is the library's `DDIMPipeline` for
ddim, and `DDPMPipeline` with `DPMSolverMultistepScheduler` or `DDPMScheduler` for the others: float32 as it comes,
the fastest of the batch sizes tried, all threads, no PIL images, no progress bar. *in bf16* is the same under
`torch.autocast`, which nobody gets without asking for it. Both sides take turns in two processes. A figure is the
median of the rounds, in brackets stand the smallest and the largest; a ratio is that of one round. *times, CPU* is
the ratio of images a CPU-second, which other work on the machine disturbs less. *both fp32*: synthgen in float32,
too; what is left is the form of the network and the loop. *written, too*: into IDX files, with manifest and card.
*compiled*: synthgen with `--compile always`, which `sample` chooses itself for large sets, without the time of
compiling, and how many times the pipeline's images that is. DDPM's 1,000 steps are measured on some of them and
multiplied, on both sides.

The overhead is that of whole blocks (noise, solver, pixels) above as many bare calls of the network, in CPU-seconds.
MFLOP are those of the network as it was trained; the form that samples are drawn with needs fewer. The peak is that
of matrix products, in TFLOP a second (on a CPU, of one thread's CPU time).
"""
FORMS = {"fp32": "pipeline", "bf16": "in bf16", "compiled": "bf16, compiled"}


def ratios(rates: dict[str, list[float]], over: str, under: str) -> list[float]:
    """Round by round, images a second of `over` per one of `under`."""
    return [first / second for first, second in zip(rates[over], rates[under], strict=True)]


def part_of_page(facts: dict[str, Any]) -> list[str]:
    """The part `speed` of the page."""
    lines, rows, forms = [WORDS, header(facts), ""], [], facts["forms"]
    for name, one in facts["networks"].items():
        for sampler, found in one["samplers"].items():
            rates = found["images_per_second"]
            rows.append(
                [
                    TITLES[name],
                    f"{sampler}, {found['steps']:,}",
                    spread(rates["ours"]),
                    spread(rates["written"]) if "written" in rates else "",
                    *compiled(found, f"theirs-{forms[0]}"),
                    *(cell for form in forms for cell in against(found, f"theirs-{form}")),
                    spread(ratios(rates, "ours-fp32", "theirs-fp32")),
                ]
            )
    heads = [
        "network",
        "sampler, steps",
        "synthgen",
        "written, too",
        "compiled",
        "compiled, times",
        "compiled, times, CPU",
    ]
    heads += [word for form in forms for word in (FORMS[form], "times", "times, CPU")] + ["times, both fp32"]
    return [*lines, *table(heads, rows, words=2), "", *rest_of_page(facts)]


def against(found: dict[str, Any], peer: str, over: str = "ours") -> tuple[str, str, str]:
    """Images a second of the peer, and how many times as many synthgen draws: in a second, and in a CPU-second."""
    rates = found["images_per_second"], found["images_per_cpu_second"]
    return (spread(rates[0][peer]), *(spread(ratios(one, over, peer)) for one in rates))  # type: ignore[return-value]


def compiled(found: dict[str, Any], peer: str) -> tuple[str, str, str]:
    """Images a second of synthgen with a compiled network, how many times the peer's that is; empty if not measured."""
    rates = found["images_per_second"]
    if "ours-compiled" not in rates:
        return "", "", ""
    return (spread(rates["ours-compiled"]), *against(found, peer, "ours-compiled")[1:])


def rest_of_page(facts: dict[str, Any]) -> list[str]:
    """Network by network: overhead, share of the peak, memory; and the few-step sampler beside DDPM's loop."""
    rows, plain = [], f"theirs-{facts['forms'][0]}"
    for name, one in facts["networks"].items():
        fast, long = one["samplers"]["dpm++2m"], one["samplers"].get("ddpm")
        calls = fast["steps"] * one["mflop_per_call"] / 1e6  # TFLOP an image
        per = f"images_per_{clock(facts['device']).removesuffix('s')}"
        computed = statistics.median(fast[per]["ours"])
        peaks = {form: max(turn[form] for turn in one["matmul_tflops"]) for form in ("fp32", "bf16")}
        loop = "" if long is None else number(computed / statistics.median(long[per][plain]))
        rows.append(
            [
                TITLES[name],
                f"{one['parameters']:,}",
                number(one["mflop_per_call"]),
                spread(one["overhead_percent"]),
                f"{number(100 * computed * calls / peaks['bf16'], 2)} of {number(peaks['bf16'])}",
                f"{number(100 * computed * calls / peaks['fp32'], 2)} of {number(peaks['fp32'])}",
                number(fast["peak_mb"]["ours"]),
                number(fast["peak_mb"][plain]),
                loop,
            ]
        )
    heads = ["network", "parameters", "MFLOP a call", "overhead, %", "% of the peak in bf16", "% of the peak in fp32"]
    heads += ["MB, synthgen", "MB, pipeline", "dpm++2m 10 over DDPM 1,000"]
    return table(heads, rows)
