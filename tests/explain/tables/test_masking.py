"""Attribution over columns: exact where the answer is known, and its checks told apart from chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthgen.config.tables import TableModelConfig
from synthgen.diffusion.masked import MaskedDenoiser
from synthgen.explain.tables import audit
from synthgen.explain.tables.masking import share_out
from synthgen.explain.tables.probe import Probe
from synthgen.models.tables import TableNetwork
from tests.explain.tables.exact import Exact, all_rows

pytestmark = pytest.mark.usefixtures("one_thread")


def copied() -> np.ndarray:
    """Columns a, b, c, t of two values: t is a, but for one row in ten; b and c are coins of their own."""
    joint = np.zeros((2, 2, 2, 2))
    for a, b, c, t in all_rows((2, 2, 2, 2)):
        joint[a, b, c, t] = 0.9 if a == t else 0.1
    return joint / joint.sum()


def test_a_target_that_follows_one_column_gives_that_column_everything() -> None:
    rows = all_rows((2, 2, 2, 2))
    found = share_out(Probe(Exact(copied()), (2, 2, 2, 2)), rows, 3, pairs=2)
    expected = np.where(rows[:, 0] == rows[:, 3], np.log2(0.9 / 0.5), np.log2(0.1 / 0.5))
    np.testing.assert_allclose(found.shares, np.stack([expected, 0 * expected, 0 * expected], 1), atol=1e-9)
    np.testing.assert_allclose(found.alone, found.shares, atol=1e-9)
    assert found.columns.tolist() == [0, 1, 2] and found.gap < 1e-9


def test_columns_that_say_the_same_share_it_and_lose_nothing_alone() -> None:
    twins = np.zeros((2, 2, 2))
    twins[0, 0, 0] = twins[1, 1, 1] = 0.5
    found = share_out(Probe(Exact(twins), (2, 2, 2)), np.array([[1, 1, 1]]), 2, pairs=4)
    np.testing.assert_allclose(found.shares, [[0.5, 0.5]], atol=1e-6)
    np.testing.assert_allclose(found.alone, 0.0, atol=1e-6)


def test_an_exclusive_or_is_shared_evenly_and_each_half_is_needed() -> None:
    parity = np.zeros((2, 2, 2))
    for a, b in all_rows((2, 2)):
        parity[a, b, a ^ b] = 0.25
    found = share_out(Probe(Exact(parity), (2, 2, 2)), np.array([[1, 0, 1]]), 2, pairs=4)
    np.testing.assert_allclose(found.shares, [[0.5, 0.5]], atol=1e-6)
    np.testing.assert_allclose(found.alone, [[1.0, 1.0]], atol=1e-6)


COLUMNS = 7


@pytest.fixture(scope="module")
def learned() -> tuple[MaskedDenoiser, np.ndarray]:
    """A small model really trained on rows whose last column copies the third (nine times in ten), and such rows."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    rows = random.integers(0, 3, (4000, COLUMNS))
    rows[:, -1] = np.where(random.random(4000) < 0.9, rows[:, 2], random.integers(0, 3, 4000))
    config = TableModelConfig(width=48, blocks=1, embedding=8, fine=1)
    spread = [np.zeros(3, bool)] * COLUMNS
    denoiser = MaskedDenoiser(TableNetwork(config, [3] * COLUMNS, [None] * COLUMNS, spread))
    optimizer = torch.optim.AdamW(denoiser.parameters(), lr=5e-3)
    tokens = torch.from_numpy(rows)
    for _ in range(250):
        part = torch.randint(len(rows), (256,))
        chance = torch.rand(256, COLUMNS), torch.rand(256)
        loss = denoiser.loss(tokens[part], torch.full((256, COLUMNS), 0.5), *chance).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return denoiser.eval(), rows[:8].astype(np.int64)


def test_a_trained_model_names_the_planted_column(learned: tuple[MaskedDenoiser, np.ndarray]) -> None:
    denoiser, rows = learned
    found = share_out(Probe(denoiser, [3] * COLUMNS), rows, COLUMNS - 1)
    strength = np.abs(found.shares).mean(axis=0)
    assert strength.argmax() == 2 and strength[2] / strength.sum() > 0.8
    checks = (
        audit.additivity(found.gap),
        audit.content(found.full, found.empty),
        audit.deletion(Probe(denoiser, [3] * COLUMNS), rows, COLUMNS - 1, found.columns, found.shares),
        audit.weights(found.shares, [_shuffled(denoiser, rows, seed) for seed in range(3)]),
        audit.stability(found.halves),
    )
    assert audit.verdict(checks).startswith("Believe it"), [check.sentence for check in checks]


def _shuffled(denoiser: MaskedDenoiser, rows: np.ndarray, seed: int) -> np.ndarray:
    probe = Probe(audit.shuffle_weights(denoiser, seed), [3] * COLUMNS)
    return share_out(probe, rows, COLUMNS - 1, pairs=1).shares


def test_an_attribution_by_shuffled_weights_fails_the_deletion_check(
    learned: tuple[MaskedDenoiser, np.ndarray],
) -> None:
    denoiser, rows = learned
    blind = _shuffled(denoiser, rows, 5)
    check = audit.deletion(Probe(denoiser, [3] * COLUMNS), rows, COLUMNS - 1, np.arange(COLUMNS - 1), blind)
    assert check.value > 0.05 and check.sentence.startswith("no better than random")
    assert audit.verdict((check,)).startswith("No better than random")


def test_a_column_that_nothing_tells_about_is_said_to_be_one(learned: tuple[MaskedDenoiser, np.ndarray]) -> None:
    denoiser, rows = learned
    found = share_out(Probe(denoiser, [3] * COLUMNS), rows, 0, pairs=2)
    probe = Probe(denoiser, [3] * COLUMNS)
    checks = (
        audit.content(found.full, found.empty),
        audit.deletion(probe, rows, 0, found.columns, found.shares),
    )
    assert audit.verdict(checks).startswith("No better than random") == (checks[0].value <= audit.LITTLE)
    same = audit.weights(found.shares, [found.shares])
    assert same.value == pytest.approx(1.0) and "does not depend" in same.sentence
    assert "with shuffled weights" in audit.verdict((same,))


def test_shuffling_keeps_the_values_of_every_tensor(learned: tuple[MaskedDenoiser, np.ndarray]) -> None:
    denoiser, _ = learned
    before = {name: value.clone() for name, value in denoiser.state_dict().items()}
    other = audit.shuffle_weights(denoiser, 1)
    for name, value in denoiser.named_parameters():
        torch.testing.assert_close(value, before[name])
        torch.testing.assert_close(other.get_parameter(name).flatten().sort()[0], value.flatten().sort()[0])


def test_halves_of_noise_are_called_unstable() -> None:
    random = np.random.default_rng(0)
    assert audit.stability(random.normal(size=(2, 20, 9))).sentence.startswith("not stable")
