"""Several small GRUs trained side by side: one for each seed, in the time that one of them takes.

The networks that judge windows have a handful of hidden units, so that their cost is that of calling operations and not
of computing. Here every operation serves all of them at once, and the gradient is written out instead of recorded. The
unit is that of Cho et al. 2014 in the form of `torch.nn.GRU`, with which its tests compare it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


class _Recurrence(torch.autograd.Function):
    """h_t = (1 - z) n + z h_{t-1}; r, z = sigmoid(i + U h_{t-1}); n = tanh(i + r (U h_{t-1} + b)).

    inputs: (L, S, 3H, B), what the input adds to r, z and n at each step, biases but `bias` included. recurrent:
    (S, 3H, H). bias: (S, H, 1), the one inside of the product with r. Gives the states (L, S, H, B).
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, recurrent: Tensor, bias: Tensor) -> Tensor:
        length, models, triple, batch = inputs.shape
        hidden = triple // 3
        states = inputs.new_zeros(length + 1, models, hidden, batch)
        gates = inputs.new_empty(length, models, 2 * hidden, batch)
        news, inner = torch.empty_like(states[1:]), torch.empty_like(states[1:])
        for step in range(length):
            before = states[step]
            torch.baddbmm(inputs[step, :, : 2 * hidden], recurrent[:, : 2 * hidden], before, out=gates[step])
            gates[step].sigmoid_()
            reset, keep = gates[step, :, :hidden], gates[step, :, hidden:]
            torch.baddbmm(bias, recurrent[:, 2 * hidden :], before, out=inner[step])
            torch.addcmul(inputs[step, :, 2 * hidden :], reset, inner[step], out=news[step])
            news[step].tanh_()
            torch.lerp(news[step], before, keep, out=states[step + 1])
        ctx.save_for_backward(states, gates, news, inner, recurrent)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (into,) = gradients
        states, gates, news, inner, recurrent = ctx.saved_tensors
        length, models, hidden, batch = news.shape
        reset, keep = gates[:, :, :hidden], gates[:, :, hidden:]
        of_new = (1 - keep) * (1 - news * news)
        of_keep = (states[:-1] - news) * keep * (1 - keep)
        of_reset = inner * reset * (1 - reset)
        to_inputs = news.new_empty(length, models, 3 * hidden, batch)
        to_product = torch.empty_like(to_inputs)
        flow = torch.zeros_like(news[0])
        transposed = recurrent.transpose(1, 2).contiguous()
        for step in range(length - 1, -1, -1):
            flow = flow + into[step]
            new = torch.mul(flow, of_new[step], out=to_inputs[step, :, 2 * hidden :])
            torch.mul(flow, of_keep[step], out=to_inputs[step, :, hidden : 2 * hidden])
            torch.mul(new, of_reset[step], out=to_inputs[step, :, :hidden])
            to_product[step, :, : 2 * hidden] = to_inputs[step, :, : 2 * hidden]
            torch.mul(new, reset[step], out=to_product[step, :, 2 * hidden :])
            flow = torch.baddbmm(flow * keep[step], transposed, to_product[step])
        products = to_product.permute(1, 2, 0, 3).reshape(models, 3 * hidden, length * batch)
        before = states[:-1].permute(1, 0, 3, 2).reshape(models, length * batch, hidden)
        return to_inputs, products @ before, products[:, 2 * hidden :].sum(2, keepdim=True)


class ParallelGRU(nn.Module):
    """S networks: a GRU of one layer and a linear layer to one number, each with weights drawn from its own seed."""

    weight: Tensor
    recurrent: Tensor
    bias: Tensor
    product_bias: Tensor
    out: Tensor
    out_bias: Tensor

    def __init__(self, inputs: int, hidden: int, seeds: list[int]) -> None:
        super().__init__()
        drawn = [_drawn(inputs, hidden, seed) for seed in seeds]
        for name in drawn[0]:
            self.register_parameter(name, nn.Parameter(torch.stack([one[name] for one in drawn])))
        self.hidden = hidden

    def states(self, x: Tensor) -> Tensor:
        """Windows (S, B, L, C) -> states (L, S, H, B)."""
        models, batch, length, channels = x.shape
        flat = x.permute(0, 3, 2, 1).reshape(models, channels, length * batch)
        shift = self.bias.clone()
        shift[:, : 2 * self.hidden] += self.product_bias[:, : 2 * self.hidden]
        inputs = torch.baddbmm(shift, self.weight, flat).view(models, 3 * self.hidden, length, batch)
        inputs = inputs.permute(2, 0, 1, 3).contiguous()
        found: Tensor = _Recurrence.apply(inputs, self.recurrent, self.product_bias[:, 2 * self.hidden :])
        return found

    def last(self, x: Tensor) -> Tensor:
        """Windows (S, B, L, C) -> one number for each (S, B), from the last state."""
        return self._out(self.states(x)[-1])

    def each(self, x: Tensor) -> Tensor:
        """Windows (S, B, L, C) -> one number for each step (S, B, L)."""
        states = self.states(x)
        length, models, hidden, batch = states.shape
        flat = states.permute(1, 2, 3, 0).reshape(models, hidden, batch * length)
        found: Tensor = self._out(flat).reshape(models, batch, length)
        return found

    def _out(self, states: Tensor) -> Tensor:
        found: Tensor = torch.baddbmm(self.out_bias, self.out, states).squeeze(1)
        return found


def _drawn(inputs: int, hidden: int, seed: int) -> dict[str, Tensor]:
    """Weights of one network, drawn as torch.nn.GRU and Linear draw theirs."""
    random = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return (2 * torch.rand(*shape, generator=random) - 1) / math.sqrt(hidden)

    return {
        "weight": uniform(3 * hidden, inputs),
        "recurrent": uniform(3 * hidden, hidden),
        "bias": uniform(3 * hidden, 1),
        "product_bias": uniform(3 * hidden, 1),
        "out": uniform(1, hidden),
        "out_bias": uniform(1, 1),
    }
