"""The last touch on a masked model of rows: every column's predictions average to what the rows hold.

The last steps of training leave each column's scores off by what a few thousand random cells can tell: about a percent
of the rows, and samples add these errors up. One pass over the rows, column by column with the columns before it known
as in sampling, measures them, and the tokens' biases take them away.
"""

from __future__ import annotations

import torch

from synthgen.diffusion.masked import MaskedDenoiser

MOST_COLUMNS = 128
"""Columns above which nothing is calibrated: every column costs a pass over the rows."""

MOST_CALLS = 2**20
"""Network evaluations of one row in all; fewer rows are asked, evenly spread, where they would be more."""

ROUNDS = 3
_BLOCK = 2048
_FURTHEST = 1.0
"""Most by which a round moves a score, in nats: a calibration corrects, it does not teach."""


@torch.no_grad()
def calibrate(denoiser: MaskedDenoiser, tokens: torch.Tensor) -> None:
    """Shift the biases of `denoiser` until its mean prediction of each column is the column's frequencies in `tokens`.

    tokens: int64 (N, C), the rows that were learned. Frequencies are matched by iterative proportional fitting with one
    row added to both sides, so that tokens of few rows move little. Tables of more than 128 columns are left as is.
    """
    rows, columns = tokens.shape
    if columns > MOST_COLUMNS or not rows:
        return
    count = min(rows, max(1, MOST_CALLS // columns))
    tokens = tokens[torch.linspace(0, rows - 1, count, device=tokens.device).round().long()].long()
    network, number = denoiser.network, torch.arange(columns, device=tokens.device)
    for group, head in network.blocks_of_columns():
        for place, column in enumerate(group.columns):
            size = network.sizes[column]
            there = torch.bincount(tokens[:, column], minlength=size).float()
            part = torch.tensor([place], device=tokens.device)
            known = (number < column).expand(_BLOCK, columns)
            blocks = [tokens[start : start + _BLOCK] for start in range(0, count, _BLOCK)]
            scores = torch.cat([denoiser.scores_of(head, block, known[: len(block)], part)[:, 0] for block in blocks])
            shift = torch.zeros(size, device=tokens.device)
            for _ in range(ROUNDS):
                made = (scores[:, :size] + shift).softmax(-1).sum(0)
                shift += ((there + 1) / (made + 1)).log().clamp(-_FURTHEST, _FURTHEST)
            head.bias[place, :size] += shift
