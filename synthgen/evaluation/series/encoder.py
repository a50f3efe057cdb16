"""Features of windows: an encoder in the manner of TS2Vec (Yue et al. 2022), fitted on real windows only.

Re-derived from the paper: a linear layer for each step, timestamp masking, ten residual blocks of dilated convolutions
(width 64, dilation 2^l) and one to 320 features, and the hierarchical contrastive loss (eq. 1 to 3, algorithm 1)
between two overlapping crops. A window's features are the maximum over its steps. Outer taps of a convolution whose
dilation is not less than the length see padding alone: they are left out, which changes nothing but the time it takes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from synthgen.errors import StoppedError
from synthgen.stopping import ShouldStop, never_stop

WIDTH, FEATURES, BLOCKS = 64, 320, 10
BATCH, RATE = 8, 1e-3
VERSION = 1
"""Of the computation, for the cache: to be raised when results change."""

_DROPOUT = 0.1
_MASKED = 0.5
_CHUNK = 512


class _Convolution(nn.Module):
    """Three taps, `dilation` steps apart, over steps (B, L, inputs) with zeros outside: (B, L, outputs)."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        bound = (3 * inputs) ** -0.5
        self.weight = nn.Parameter(torch.empty(3, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))
        self.dilation = dilation

    def forward(self, x: Tensor) -> Tensor:
        length, reach = x.shape[1], self.dilation
        if reach >= length:
            return functional.linear(x, self.weight[1].t(), self.bias)
        padded = functional.pad(x, (0, 0, reach, reach))
        taps = torch.cat([padded[:, :length], x, padded[:, 2 * reach :]], dim=2)
        return functional.linear(taps, self.weight.flatten(0, 1).t(), self.bias)


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.first = _Convolution(inputs, outputs, dilation)
        self.second = _Convolution(outputs, outputs, dilation)
        self.around = None if inputs == outputs else nn.Linear(inputs, outputs)

    def forward(self, x: Tensor, there: Tensor | None) -> Tensor:
        kept = x if self.around is None else self.around(x)
        inner = _only(self.first(_only(functional.gelu(x), there)), there)
        found: Tensor = kept + self.second(_only(functional.gelu(inner), there))
        return found


def _only(x: Tensor, there: Tensor | None) -> Tensor:
    """Zero beyond the end, as padding is."""
    return x if there is None else x * there


class Encoder(nn.Module):
    """Steps (B, L, C) -> features (B, L, 320)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.embed = nn.Linear(channels, WIDTH)
        self.blocks = nn.ModuleList(_Block(WIDTH, WIDTH, 2**place) for place in range(BLOCKS))
        self.out = _Block(WIDTH, FEATURES, 2**BLOCKS)

    def forward(self, x: Tensor, *, shown: Tensor | None = None, there: Tensor | None = None) -> Tensor:
        """shown: float (B, L, 1), 0 at steps that are masked. there: the same of steps that exist."""
        h = self.embed(x)
        for mask in (shown, there):
            h = _only(h, mask)
        for block in self.blocks:
            h = block(h, there)
        found: Tensor = self.out(h, there)
        return functional.dropout(found, _DROPOUT, self.training)


@dataclass(frozen=True)
class Fitted:
    """An encoder that was fitted on real windows: on how many steps, with which seed, and a digest of its weights."""

    network: Encoder
    seed: int
    iterations: int
    sha256: str

    def features(
        self, values: np.ndarray, lengths: np.ndarray | None = None, should_stop: ShouldStop = never_stop
    ) -> np.ndarray:
        """float32 (N, 320) of windows (N, L, C) without NaN; steps from `lengths` (N,) on do not exist."""
        x = torch.from_numpy(np.ascontiguousarray(values, np.float32))
        whole = lengths is None or bool((lengths == x.shape[1]).all())
        found = []
        with torch.no_grad():
            for start in range(0, len(x), _CHUNK):
                _check(should_stop)
                part = x[start : start + _CHUNK]
                there = None
                if not whole:
                    ends = torch.as_tensor(lengths)[start : start + _CHUNK, None]
                    there = (torch.arange(x.shape[1]) < ends)[:, :, None].to(part.dtype)
                steps = self.network(part, there=there)
                if there is not None:
                    steps = steps.masked_fill(there == 0, -torch.inf)
                found.append(steps.amax(1))
        return torch.cat(found).numpy()


def fit_encoder(
    values: np.ndarray,
    seed: int,
    *,
    lengths: np.ndarray | None = None,
    iterations: int | None = None,
    should_stop: ShouldStop = never_stop,
) -> Fitted:
    """Fit an encoder on windows (N, L, C) without NaN, scaled to about 0..1.

    iterations: None: 600 batches of 8, 200 where there are at most 100,000 values, as TS2Vec has it. The weights are
    averaged over all iterations.
    """
    x = torch.from_numpy(np.ascontiguousarray(values, np.float32))
    ends = torch.full((len(x),), x.shape[1]) if lengths is None else torch.as_tensor(lengths)
    iterations = iterations or (200 if x.numel() <= 100_000 else 600)
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Encoder(x.shape[2])
        mean = {name: weight.detach().clone() for name, weight in network.named_parameters()}
        adam = torch.optim.AdamW(network.parameters(), RATE)
        for step in range(iterations):
            _check(should_stop)
            batch = _batch(x, ends, random)
            loss = _loss(network, batch, random)
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            with torch.no_grad():
                torch._foreach_lerp_(list(mean.values()), list(network.parameters()), 1.0 / (step + 1))
    network.load_state_dict(mean)
    network.eval().requires_grad_(False)
    digest = hashlib.sha256()
    for name, weight in mean.items():
        digest.update(name.encode() + weight.numpy().tobytes())
    return Fitted(network, seed, iterations, digest.hexdigest())


def _check(should_stop: ShouldStop) -> None:
    if should_stop():
        raise StoppedError("stopped while measuring")


def _batch(x: Tensor, ends: Tensor, random: torch.Generator) -> Tensor:
    """Eight windows; of differing lengths some of nearly the same, cut to the shortest, so that every step exists."""
    count = min(BATCH, len(x))
    if bool((ends == x.shape[1]).all()):
        return x[torch.randint(len(x), (count,), generator=random)]
    ties = torch.rand(len(x), generator=random)
    chosen = int(torch.randint(len(x), (1,), generator=random))
    apart = (ends - ends[chosen]).abs() + ties
    apart[chosen] = -1.0
    index = apart.topk(count, largest=False).indices
    length = max(int(ends[index].min()), 1)
    starts = (torch.rand(count, generator=random) * (ends[index] - length + 1)).long()
    steps = starts[:, None] + torch.arange(length)
    return x[index[:, None], steps]


def _loss(network: Encoder, x: Tensor, random: torch.Generator) -> Tensor:
    """The loss between two crops [a1, b1) and [a2, b2) with a1 <= a2 < b1 <= b2, over the steps that they share."""
    length = x.shape[1]
    shared = int(torch.randint(min(2, length), length + 1, (1,), generator=random))
    left = int(torch.randint(length - shared + 1, (1,), generator=random))
    right = left + shared
    start = int(torch.randint(left + 1, (1,), generator=random))
    end = int(torch.randint(right, length + 1, (1,), generator=random))
    first = network(x[:, start:right], shown=_shown(x[:, start:right], random))[:, -shared:]
    second = network(x[:, left:end], shown=_shown(x[:, left:end], random))[:, :shared]
    return hierarchical_loss(first, second)


def _shown(x: Tensor, random: torch.Generator) -> Tensor:
    return (torch.rand(*x.shape[:2], 1, generator=random) >= _MASKED).to(x.dtype)


def hierarchical_loss(first: Tensor, second: Tensor) -> Tensor:
    """Algorithm 1: both contrastive losses at every scale, pooled by two (maximum) in between; mean over scales.

    first, second: representations (B, L, F) of the same steps in two crops.
    """
    total, scales = first.new_zeros(()), 0
    while True:
        if len(first) > 1:
            total = total + 0.5 * _contrast(first.transpose(0, 1), second.transpose(0, 1))
        if first.shape[1] > 1:
            total = total + 0.5 * _contrast(first, second)
        scales += 1
        if first.shape[1] == 1:
            return total / scales
        first, second = (functional.max_pool1d(one.transpose(1, 2), 2).transpose(1, 2) for one in (first, second))


def _contrast(first: Tensor, second: Tensor) -> Tensor:
    """Eq. 1 and 2, mean over all: within each group (G, n, F) the same item of the other crop is the positive.

    -log exp(r_i . r'_i) / (sum over j of exp(r_i . r'_j) + sum over j != i of exp(r_i . r_j)), and the same of r'.
    """
    count = first.shape[1]
    both = torch.cat([first, second], dim=1)
    products = both @ both.transpose(1, 2)
    itself = torch.eye(2 * count, dtype=torch.bool)
    logs = products.masked_fill(itself, -torch.inf).log_softmax(-1)
    place = torch.arange(count)
    return -(logs[:, place, place + count].mean() + logs[:, place + count, place].mean()) / 2
