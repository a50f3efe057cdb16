"""Answers kept on disk: found again when everything is the same, and only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from synthgen.downstream.factories import resolve_classifier
from synthgen.downstream.store import Answers, Store, answers_of, training_key
from synthgen.reporting import NullReporter

SETTINGS: dict[str, Any] = {"steps": 3}


class _Listener(NullReporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def test_answers_are_the_softmax() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32) * 8
    found, expected = answers_of(logits), softmax(logits.astype(float), axis=1)
    np.testing.assert_array_equal(found.read, expected.argmax(axis=1))
    np.testing.assert_allclose(found.confidence, expected.max(axis=1), rtol=1e-6)
    assert np.isfinite(answers_of(logits * 1e4).confidence).all()


def test_the_key_follows_from_all_that_matters() -> None:
    def key(seed: int = 0, name: str = "logistic", data: str = "a", steps: int = 3) -> str:
        model = resolve_classifier(name).build((1, 8, 8), 2, seed)
        return training_key(model, [data, "test"], {"steps": steps})

    assert key() == key()
    assert len({key(), key(seed=1), key(name="resnet"), key(data="b"), key(steps=4)}) == 5


def test_a_damaged_file_is_named_and_counts_as_none(tmp_path: Path) -> None:
    store, listener = Store(tmp_path), _Listener()
    answers = Answers(np.arange(5), np.full(5, 0.5, np.float32))
    assert store.get("k", 5, listener) is None
    store.put("k", answers)
    found = store.get("k", 5, listener)
    assert found is not None and listener.warnings == []
    np.testing.assert_array_equal(found.read, answers.read)
    assert store.get("k", 6, listener) is None
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-40])
    assert store.get("k", 5, listener) is None
    assert len(listener.warnings) == 2 and all(str(path) in text for text in listener.warnings)


def test_without_a_folder_nothing_is_kept() -> None:
    store = Store()
    store.put("k", Answers(np.arange(5), np.ones(5, np.float32)))
    assert store.get("k", 5, NullReporter()) is None
