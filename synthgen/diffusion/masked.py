"""Masked (absorbing-state) diffusion over the cells of a row, in any order: loss, samples, likelihood.

A row is a token per column; columns whose token is a bin also have a place inside it. Cells are hidden in random order
and predicted from those that are known: the absorbing process of Austin et al. (2021, D3PM) in the any-order form of
Hoogeboom et al. (2022, ARDM), where the number of hidden cells is uniform. A second stage does the same with the
levels inside the bins, all tokens being known.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from synthgen.diffusion.inversion import between, invert
from synthgen.diffusion.permitted import Permitted, permit
from synthgen.diffusion.turns import ranks, take_turns
from synthgen.diffusion.wanted import WIDE, wanted_scores
from synthgen.models.tables import TableNetwork

IN_TURN = 0.5
"""Share of the rows whose cells are asked in the order of the columns, as in sampling; the others in any order."""

LEVEL_SHARE = 0.25
"""Share of the rows of a batch that train the second stage."""

MOST_STEPS = 64
"""Network evaluations per row for tokens, unless asked otherwise."""

MOST_LEVEL_STEPS = 16
"""Network evaluations per row for levels: what is left inside a bin depends little on what is left in another."""

BELOW_ONE = 1.0 - 2.0**-24


class MaskedDenoiser(nn.Module):
    """The posterior of the hidden cells given the known ones, for one network.

    precision: dtype in which the network computes; scores, probabilities and the loss stay float32.
    """

    def __init__(self, network: TableNetwork, *, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.network = network
        self.precision = precision

    def _trunk(
        self,
        tokens: torch.Tensor,
        known: torch.Tensor,
        levels: torch.Tensor | None = None,
        level_known: torch.Tensor | None = None,
    ) -> torch.Tensor:
        enabled = self.precision != torch.float32
        with torch.autocast(tokens.device.type, dtype=self.precision if enabled else torch.bfloat16, enabled=enabled):
            return self.network.trunk(tokens, known, levels, level_known)

    def _score(self, head: nn.Module, h: torch.Tensor, columns: torch.Tensor | None = None) -> torch.Tensor:
        """Scores of one head, always computed in float32; `h` as in `Head.forward`."""
        scores: torch.Tensor = head(h.float(), columns)
        return scores

    def logits(self, tokens: torch.Tensor, known: torch.Tensor) -> list[torch.Tensor]:
        """Scores of every column's tokens given the known cells: float32 (B, K_c) per column; softmax gives the
        posterior. tokens: int64 (B, C), looked at where known: bool (B, C)."""
        return self.network.scores(self._trunk(tokens, known).float())

    def scores_of(
        self, head: nn.Module, tokens: torch.Tensor, known: torch.Tensor, columns: torch.Tensor
    ) -> torch.Tensor:
        """Scores, float32 (B, columns, K), of some of the columns of one of the network's heads."""
        return self._score(head, self._trunk(tokens, known), columns)

    # Training

    def loss(
        self, tokens: torch.Tensor, fractions: torch.Tensor, order: torch.Tensor, depth: torch.Tensor
    ) -> torch.Tensor:
        """Mean cross-entropy, in nats, of the hidden cells of each row, float32 (B,); see `_hide` for their weights.

        Args:
            tokens: int64 (B, C). fractions: float32 (B, C) in [0, 1), places inside the bins.
            order: float32 (B, C) uniforms that decide which cells are hidden. depth: float32 (B,) uniforms that decide
                how many; those below a quarter train the second stage where the network has one.
        """
        if not self.network.spread_columns:
            return self._token_loss(tokens, order, depth)
        second = depth < LEVEL_SHARE
        first, rest = (~second).nonzero()[:, 0], second.nonzero()[:, 0]
        out = torch.zeros(len(tokens), device=tokens.device)
        if len(first):
            place = (depth[first] - LEVEL_SHARE) / (1 - LEVEL_SHARE)
            out = out.index_copy(0, first, self._token_loss(tokens[first], order[first], place))
        if len(rest):
            place = depth[rest] / LEVEL_SHARE
            out = out.index_copy(0, rest, self._level_loss(tokens[rest], fractions[rest], order[rest], place))
        return out

    def _token_loss(self, tokens: torch.Tensor, order: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        hidden, counts = self._hide(order, depth)
        h = self._trunk(tokens, ~hidden)
        total, counted = torch.zeros_like(depth), torch.zeros_like(depth)
        # The order's own digits choose the part of a wide table: no random numbers but those from outside.
        chosen = (order.sum(0) % 1.0).argsort()[:WIDE] if order.shape[1] > WIDE else None
        for group, head in self.network.blocks_of_columns():
            members = torch.tensor(group.columns, device=tokens.device)
            part = None if chosen is None else torch.isin(members, chosen).nonzero()[:, 0]
            if part is not None and not len(part):
                continue
            members = members if part is None else members[part]
            scores = self._score(head, h, part)
            entropy = F.cross_entropy(scores.flatten(0, 1), tokens[:, members].flatten(), reduction="none")
            weight = counts[:, members]
            total = total + (entropy.view(weight.shape) * weight).sum(1)
            counted = counted + weight.sum(1)
        return total / counted.clamp(min=1.0)

    def _hide(self, order: torch.Tensor, depth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Which cells are hidden, bool (B, C), and what each of them counts, float (B, C).

        Part of the rows know just the cells before some column, which is asked next, as in sampling: it counts as much
        as all others together. The other rows know any cells, and all hidden ones count alike.
        """
        columns = order.shape[1]
        place = torch.where(depth < IN_TURN, depth / IN_TURN, (depth - IN_TURN) / (1 - IN_TURN))
        number = 1 + (place * columns).long().clamp(0, columns - 1)[:, None]
        column = torch.arange(columns, device=order.device)
        in_turn = (depth < IN_TURN)[:, None]
        hidden = torch.where(in_turn, column >= columns - number, order.argsort(1).argsort(1) < number)
        asked = in_turn & (column == columns - number)
        return hidden, torch.where(asked, number.float(), hidden.float())

    def _level_loss(
        self, tokens: torch.Tensor, fractions: torch.Tensor, order: torch.Tensor, depth: torch.Tensor
    ) -> torch.Tensor:
        net = self.network
        wide = net.is_wide(tokens)[:, net.level_columns]
        number = wide.sum(1)
        hidden = (
            ranks(order[:, net.level_columns], wide) < 1 + torch.minimum((depth * number).long(), number - 1)[:, None]
        )
        hidden &= wide
        levels = self._levels(fractions)
        h = self._trunk(tokens, torch.ones_like(tokens, dtype=torch.bool), levels, wide & ~hidden)
        count = len(net.spread_columns)
        part = (order.sum(0)[net.level_columns] % 1.0).argsort()[:WIDE] if count > WIDE else None
        scores = self._score(net.level_head, h, part)
        levels, hidden = (levels, hidden) if part is None else (levels[:, part], hidden[:, part])
        entropy = F.cross_entropy(scores.flatten(0, 1), levels.flatten(), reduction="none")
        loss: torch.Tensor = (entropy.view(levels.shape) * hidden).sum(1) / hidden.sum(1).clamp(min=1)
        return loss

    def _levels(self, fractions: torch.Tensor) -> torch.Tensor:
        """int64 (B, spread columns): the level of each place inside a bin."""
        places = fractions[:, self.network.level_columns]
        return (places * self.network.levels).long().clamp(0, self.network.levels - 1)

    # Sampling

    @torch.no_grad()
    def sample(
        self,
        uniforms: torch.Tensor,
        *,
        tokens: torch.Tensor | None = None,
        fractions: torch.Tensor | None = None,
        known: torch.Tensor | None = None,
        allowed: Sequence[Permitted] | None = None,
        steps: int | None = None,
        temperature: float = 1.0,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Fill the unknown cells of rows: (tokens int64 (B, C), fractions float32 (B, C)).

        Args:
            uniforms: float32 (B, 3 * C) in [0, 1): token and place of cell c come from columns C + c and 2C + c. Cells
                are filled in the order of the columns, after those under a condition; the first C are not used.
            tokens, fractions, known: what is known, (B, C) each; cells that are known stay as they are.
            allowed: per column None, bool (K,) or (B, K) permitted tokens, or a pair of it and float32 (K, 2) or
                (B, K, 2), the permitted interval inside each bin.
            steps: network evaluations per stage and row; None: one per cell, at most 64 for the tokens and 16 for
                the places inside the bins.
            temperature: divides the scores.

        A row's values depend on its own numbers, and in the last bits on B; not on the other rows.
        Raises UsageError where a column's permitted tokens are none.
        """
        rows, columns = len(uniforms), len(self.network.sizes)
        device = uniforms.device
        order, pick, place = (uniforms[:, part * columns : (part + 1) * columns] for part in range(3))
        known = torch.zeros(rows, columns, dtype=torch.bool, device=device) if known is None else known
        tokens = torch.zeros(rows, columns, dtype=torch.long, device=device) if tokens is None else tokens.clone()
        fractions = torch.full((rows, columns), 0.5, device=device) if fractions is None else fractions.clone()
        limits = permit(allowed, self.network.sizes, rows, device)
        order = limits.first(order)
        for before, now in take_turns(order, ~known, steps or MOST_STEPS):
            h = self._trunk(tokens, before)
            for wanted in wanted_scores(self.network, h, now, self._score):
                scores = limits.applied(wanted, self.network.sizes, wanted.scores / temperature)
                tokens[wanted.cells] = invert(scores.softmax(-1), pick[wanted.cells])[0]
        wide = self.network.is_wide(tokens) & ~known
        low, high = limits.intervals(tokens)
        fractions = torch.where(known, fractions, 0.5)
        if self.network.spread_columns:
            self._sample_levels(tokens, fractions, wide, known, (order, place), (low, high), steps, temperature)
        else:
            fractions = torch.where(wide, low + place * (high - low), fractions)
        return tokens, fractions.clamp(0.0, BELOW_ONE)

    def _sample_levels(
        self,
        tokens: torch.Tensor,
        fractions: torch.Tensor,
        wide: torch.Tensor,
        known: torch.Tensor,
        uniforms: tuple[torch.Tensor, torch.Tensor],
        interval: tuple[torch.Tensor, torch.Tensor],
        steps: int | None,
        temperature: float,
    ) -> None:
        """Places inside the bins, one level after the other; written into `fractions`."""
        net = self.network
        columns = net.level_columns
        wide, given = wide[:, columns], (net.is_wide(tokens) & known)[:, columns]
        order, place = (part[:, columns] for part in uniforms)
        low, high = (part[:, columns] for part in interval)
        levels, everything = self._levels(fractions), torch.ones_like(known)
        values = fractions[:, columns]
        for before, now in take_turns(order, wide, min(steps or MOST_LEVEL_STEPS, MOST_LEVEL_STEPS)):
            h = self._trunk(tokens, everything, levels, given | (before & wide))
            cells = now.nonzero(as_tuple=True)
            probability = (self._score(net.level_head, h)[cells] / temperature).softmax(-1)
            values[cells] = between(probability, place[cells], low[cells], high[cells])
            levels[cells] = (values[cells] * net.levels).long().clamp(0, net.levels - 1)
        fractions[:, columns] = values

    # Likelihood

    @torch.no_grad()
    def log_likelihood(
        self,
        tokens: torch.Tensor,
        fractions: torch.Tensor,
        uniforms: torch.Tensor | None = None,
        draws: int = 1,
        steps: int | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-likelihood of rows in nats, (B,), and the parts of it that each column has, (B, C).

        Args: uniforms: None, or float32 (B, draws * C), of which each C are one order of the cells. steps: as in
            `sample`.

        Without uniforms it is the probability with which `sample` makes the row, exactly: the chain of the cells in the
        order of the columns. With them it is the mean over orders, which tells less of a column's place: a lower bound
        of the likelihood under a random order (Hoogeboom et al. 2022, eq. 2). A place inside a bin counts by its
        density over the bin.
        """
        columns = tokens.shape[1]
        parts = torch.zeros(tokens.shape, device=tokens.device)
        if uniforms is None:
            uniforms, draws = torch.arange(columns, device=tokens.device).expand_as(tokens) / columns, 1
        for draw in range(draws):
            order = uniforms[:, draw * columns : (draw + 1) * columns]
            parts += self._chain(tokens, fractions, order, steps)
        parts /= draws
        return parts.sum(1), parts

    def _chain(
        self, tokens: torch.Tensor, fractions: torch.Tensor, order: torch.Tensor, steps: int | None
    ) -> torch.Tensor:
        net = self.network
        parts = torch.zeros(tokens.shape, device=tokens.device)
        for before, now in take_turns(order, torch.ones_like(tokens, dtype=torch.bool), steps or MOST_STEPS):
            for wanted in wanted_scores(net, self._trunk(tokens, before), now, self._score):
                target = tokens[wanted.cells][:, None]
                parts[wanted.cells] = wanted.scores.log_softmax(-1).gather(1, target)[:, 0]
        if not net.spread_columns:
            return parts
        wide, levels = net.is_wide(tokens)[:, net.level_columns], self._levels(fractions)
        inside = torch.zeros(wide.shape, device=tokens.device)
        turns = take_turns(order[:, net.level_columns], wide, min(steps or MOST_LEVEL_STEPS, MOST_LEVEL_STEPS))
        for before, now in turns:
            h = self._trunk(tokens, torch.ones_like(tokens, dtype=torch.bool), levels, before & wide)
            cells = now.nonzero(as_tuple=True)
            density = self._score(net.level_head, h)[cells].log_softmax(-1) + torch.tensor(float(net.levels)).log()
            inside[cells] = density.gather(1, levels[cells][:, None])[:, 0]
        parts[:, net.level_columns] += inside
        return parts
