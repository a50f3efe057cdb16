"""Masked diffusion over rows, against closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from synthgen.config.tables import TableModelConfig
from synthgen.diffusion.inversion import between, invert
from synthgen.diffusion.masked import MaskedDenoiser
from synthgen.diffusion.turns import take_turns
from synthgen.diffusion.wanted import wanted_scores
from synthgen.errors import UsageError
from synthgen.models.tables import TableNetwork


def make(sizes: list[int], spread: tuple[int, ...] = (), seed: int = 0, **settings: int) -> MaskedDenoiser:
    """A small denoiser; the columns in `spread` hold bins."""
    torch.manual_seed(seed)
    config = TableModelConfig(width=32, blocks=1, embedding=8, **settings)
    positions = [np.linspace(0, 1, size, dtype=np.float32) if c in spread else None for c, size in enumerate(sizes)]
    wide = [np.full(size, c in spread) for c, size in enumerate(sizes)]
    network = TableNetwork(config, sizes, positions, wide)
    with torch.no_grad():  # heads begin near zero: far from it the tests see something
        for parameter in network.heads.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return MaskedDenoiser(network).eval()


def train(denoiser: MaskedDenoiser, tokens: torch.Tensor, fractions: torch.Tensor, steps: int) -> None:
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW(denoiser.parameters(), lr=1e-2)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - step / steps)
        rows = torch.randint(len(tokens), (512,), generator=generator)
        order = torch.rand(512, tokens.shape[1], generator=generator)
        loss = denoiser.loss(tokens[rows], fractions[rows], order, torch.rand(512, generator=generator)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


JOINT = torch.tensor([[0.30, 0.00, 0.10], [0.05, 0.25, 0.30]])


@pytest.fixture(scope="module")
def learned() -> MaskedDenoiser:
    """Trained on 20,000 rows of two columns whose joint distribution is JOINT."""
    index = torch.multinomial(JOINT.flatten(), 20_000, replacement=True, generator=torch.Generator().manual_seed(0))
    tokens = torch.stack([index // 3, index % 3], 1)
    denoiser = make([2, 3])
    train(denoiser, tokens, torch.full(tokens.shape, 0.5), 400)
    return denoiser


def test_the_learned_joint_is_that_of_the_data(learned: MaskedDenoiser) -> None:
    rows = torch.tensor(list(itertools.product(range(2), range(3))))
    halves = torch.full(rows.shape, 0.5)
    for order in ([0.1, 0.9], [0.9, 0.1]):
        total, parts = learned.log_likelihood(rows, halves, torch.tensor(order).expand(6, 2))
        assert torch.allclose(total.exp(), JOINT.flatten(), atol=0.02)
        assert torch.allclose(parts.sum(1), total)
    tokens, fractions = learned.sample(torch.rand(20_000, 6, generator=torch.Generator().manual_seed(5)))
    counts = torch.bincount(tokens[:, 0] * 3 + tokens[:, 1], minlength=6) / 20_000
    assert torch.allclose(counts, JOINT.flatten(), atol=0.02)
    assert (fractions == 0.5).all()


def test_a_known_cell_stays_and_conditions_the_other(learned: MaskedDenoiser) -> None:
    given = torch.tensor([[0, 1]]).expand(4000, 2)
    known = torch.tensor([[False, True]]).expand(4000, 2)
    uniforms = torch.rand(4000, 6, generator=torch.Generator().manual_seed(2))
    tokens, _ = learned.sample(uniforms, tokens=given, known=known)
    assert (tokens[:, 1] == 1).all()
    assert (tokens[:, 0] == 1).float().mean() > 0.97  # (0, 1) has probability zero
    posterior = learned.logits(given[:1], known[:1])[0].softmax(-1)
    assert posterior[0, 1] > 0.97


def test_permitted_tokens_renormalise_the_joint(learned: MaskedDenoiser) -> None:
    uniforms = torch.rand(20_000, 6, generator=torch.Generator().manual_seed(3))
    tokens, _ = learned.sample(uniforms, allowed=[None, torch.tensor([True, False, True])])
    assert (tokens[:, 1] != 1).all()
    with pytest.raises(UsageError, match="nothing in column 1"):
        learned.sample(uniforms[:2], allowed=[None, torch.zeros(3, dtype=torch.bool)])
    with pytest.raises(UsageError, match="1 conditions for 2 columns"):
        learned.sample(uniforms[:2], allowed=[None])


@pytest.mark.parametrize("order", [[0.2, 0.5, 0.9], [0.9, 0.2, 0.5]])
def test_likelihoods_of_all_rows_sum_to_one(order: list[float]) -> None:
    denoiser = make([2, 3, 4])
    rows = torch.tensor(list(itertools.product(range(2), range(3), range(4))))
    total, _ = denoiser.log_likelihood(rows, torch.full(rows.shape, 0.5), torch.tensor(order).expand(24, 3))
    assert float(total.exp().sum()) == pytest.approx(1.0, abs=1e-5)


def test_densities_inside_bins_integrate_to_one() -> None:
    denoiser = make([3, 2, 2], spread=(0, 1), fine=4)
    cells = [(a, x, b, y, c) for a in range(3) for x in range(4) for b in range(2) for y in range(4) for c in range(2)]
    table = torch.tensor(cells)
    tokens = table[:, [0, 2, 4]]
    fractions = torch.full(tokens.shape, 0.5)
    fractions[:, :2] = (table[:, [1, 3]] + 0.5) / 4
    total, _ = denoiser.log_likelihood(tokens, fractions, torch.tensor([0.3, 0.7, 0.1]).expand(len(table), 3))
    assert float((total.exp() / 16).sum()) == pytest.approx(1.0, abs=1e-5)


def test_the_mean_over_orders_is_the_mean_of_the_chains() -> None:
    denoiser = make([3, 4])
    rows, halves = torch.tensor([[1, 2], [0, 3]]), torch.full((2, 2), 0.5)
    one, other = torch.tensor([[0.1, 0.2]]).expand(2, 2), torch.tensor([[0.2, 0.1]]).expand(2, 2)
    both, _ = denoiser.log_likelihood(rows, halves, torch.cat([one, other], 1), draws=2)
    single = [denoiser.log_likelihood(rows, halves, order)[0] for order in (one, other)]
    assert torch.allclose(both, (single[0] + single[1]) / 2)


def test_the_loss_is_the_cross_entropy_of_the_hidden_cells() -> None:
    denoiser = make([2, 5, 3])
    tokens = torch.tensor([[1, 4, 0], [0, 2, 2], [1, 0, 1], [0, 3, 2]])
    order = torch.tensor([[0.1, 0.5, 0.9], [0.8, 0.1, 0.3], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]])
    depth = torch.tensor([0.75, 0.99, 0.2, 0.45])  # any order: two, three hidden; in turn: the last two, all three
    hidden = torch.tensor([[True, True, False], [True, True, True], [False, True, True], [True, True, True]])
    counts = [[1, 1, 0], [1, 1, 1], [0, 2, 1], [3, 1, 1]]
    scores = denoiser.logits(tokens, ~hidden)
    expected = torch.zeros(4)
    for row in range(4):
        entropies = [-scores[c][row].log_softmax(-1)[tokens[row, c]] * counts[row][c] for c in range(3)]
        expected[row] = torch.stack(entropies).sum() / sum(counts[row])
    assert torch.allclose(denoiser.loss(tokens, torch.full((4, 3), 0.5), order, depth), expected, atol=1e-5)


def test_samples_come_as_often_as_their_likelihood_says() -> None:
    denoiser = make([2, 3])
    rows = torch.tensor(list(itertools.product(range(2), range(3))))
    expected = denoiser.log_likelihood(rows, torch.full(rows.shape, 0.5))[0].exp()
    assert float(expected.sum()) == pytest.approx(1.0, abs=1e-5)
    tokens, _ = denoiser.sample(torch.rand(40_000, 6, generator=torch.Generator().manual_seed(8)))
    counts = torch.bincount(tokens[:, 0] * 3 + tokens[:, 1], minlength=6) / 40_000
    assert torch.allclose(counts, expected, atol=0.01)


def test_columns_under_a_condition_are_drawn_first(learned: MaskedDenoiser) -> None:
    """The first column must then follow the second: given 1 of the second, it is 1."""
    uniforms = torch.rand(4000, 6, generator=torch.Generator().manual_seed(9))
    tokens, _ = learned.sample(uniforms, allowed=[None, torch.tensor([False, True, False])])
    assert (tokens[:, 1] == 1).all()
    assert (tokens[:, 0] == 1).float().mean() > 0.97


def test_the_second_stage_learns_what_is_inside_bins() -> None:
    """Two columns of two bins; the places inside the bins are the same in both columns."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(2, (8000, 2), generator=generator)
    fractions = torch.rand(8000, 1, generator=generator).expand(8000, 2).contiguous()
    denoiser = make([2, 2], spread=(0, 1), fine=8)
    train(denoiser, tokens, fractions, 400)
    _, places = denoiser.sample(torch.rand(4000, 6, generator=generator))
    correlation = float(torch.corrcoef(places.T)[0, 1])
    assert correlation > 0.97  # 1 - 1 / 64 with eight levels that agree always
    assert float(places.min()) >= 0.0
    assert float(places.max()) < 1.0


def test_a_rows_values_do_not_depend_on_the_other_rows() -> None:
    denoiser = make([4, 6, 3, 5], spread=(1, 3), fine=4)
    generator = torch.Generator().manual_seed(4)
    block = torch.rand(32, 12, generator=generator)
    tokens, fractions = denoiser.sample(block)
    other = torch.rand(32, 12, generator=generator)
    other[7] = block[7]
    again, places = denoiser.sample(other)
    assert torch.equal(again[7], tokens[7])
    assert torch.equal(places[7], fractions[7])


def test_a_wide_table_is_scored_in_parts() -> None:
    denoiser = make([4] * 150, spread=(0, 1), fine=4)
    generator = torch.Generator().manual_seed(4)
    block = torch.rand(64, 450, generator=generator)
    tokens, _ = denoiser.sample(block)
    assert tokens.shape == (64, 150)
    other = torch.rand(64, 450, generator=generator)
    other[9] = block[9]
    assert torch.equal(denoiser.sample(other)[0][9], tokens[9])
    loss = denoiser.loss(tokens, torch.full(tokens.shape, 0.5), block[:, :150], block[:, 150])
    assert loss.shape == (64,)
    assert torch.isfinite(loss).all()


def test_only_the_columns_that_a_turn_fills_are_scored() -> None:
    """Of a thousand columns a turn fills some sixteen: what it costs must not grow with all of them."""
    denoiser = make([4] * 150)
    h, now = torch.randn(40, 32), torch.zeros(40, 150, dtype=torch.bool)
    now[:, [3, 70]] = True
    now[5, 149] = True
    scored = []

    def score(head: torch.nn.Module, features: torch.Tensor, part: torch.Tensor | None) -> torch.Tensor:
        assert part is not None
        scored.append(part.tolist())
        scores: torch.Tensor = head(features, part)
        return scores

    whole = denoiser.network.scores(h)
    count = 0
    for wanted in wanted_scores(denoiser.network, h, now, score):
        for row, column, found in zip(*wanted.cells, wanted.scores, strict=True):
            assert now[row, column]
            torch.testing.assert_close(found, whole[int(column)][row])
            count += 1
    assert count == 81 and {column for part in scored for column in part} == {3, 70, 149}


def test_fewer_steps_fill_several_cells_at_once() -> None:
    order = torch.tensor([[0.4, 0.1, 0.3, 0.2], [0.1, 0.2, 0.3, 0.4]])
    waiting = torch.tensor([[True] * 4, [True, False, True, False]])
    assert take_turns(order, waiting, 2).turn.tolist() == [[1, 0, 1, 0], [0, -1, 1, -1]]
    assert take_turns(order, waiting, 9).turn.tolist() == [[3, 0, 2, 1], [0, -1, 1, -1]]
    denoiser = make([4, 6, 3, 5])
    tokens, _ = denoiser.sample(torch.rand(8, 12), steps=1)
    assert (tokens < torch.tensor([4, 6, 3, 5])).all()


def test_an_interval_inside_a_bin_is_kept() -> None:
    denoiser = make([3, 2], spread=(0,), fine=4)
    tokens = torch.tensor([False, True, True])
    interval = torch.tensor([[0.0, 1.0], [0.6, 1.0], [0.0, 0.1]])
    drawn, places = denoiser.sample(
        torch.rand(500, 6, generator=torch.Generator().manual_seed(6)), allowed=[(tokens, interval), None]
    )
    assert set(drawn[:, 0].tolist()) == {1, 2}
    assert bool((places[:, 0][drawn[:, 0] == 1] >= 0.6).all())
    assert bool((places[:, 0][drawn[:, 0] == 2] <= 0.1).all())


def test_inversion_never_gives_what_has_no_probability() -> None:
    probability = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]])
    for uniform, expected, share in [(0.0, 1, 0.0), (0.25, 1, 0.5), (0.5, 3, 0.0), (1.0 - 2.0**-24, 3, 1.0)]:
        index, place = invert(probability, torch.tensor([uniform]))
        assert index.item() == expected
        assert place.item() == pytest.approx(share, abs=1e-6)


def test_between_inverts_the_cut_density() -> None:
    """Density 1.6 on [0, .5), .4 on [.5, 1), cut to [.25, .75]: masses .4 and .1, so that .8 lies below one half."""
    probability = torch.tensor([[0.8, 0.2]])
    ends = torch.tensor([0.25]), torch.tensor([0.75])
    places = [between(probability, torch.tensor([u]), *ends).item() for u in (0.0, 0.4, 0.8, 0.9, 1.0)]
    assert places == pytest.approx([0.25, 0.375, 0.5, 0.625, 0.75], abs=1e-6)
