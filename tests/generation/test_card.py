"""The card of a set says what it says, whatever names a checkpoint holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from synthgen.checkpoints import read_header
from synthgen.export.card import model_card
from synthgen.generation.card import data_card, quoted
from synthgen.generation.manifest import Origin, origin_of
from synthgen.generation.model import load
from synthgen.generation.plan import SamplePlan, plan_samples
from synthgen.runs import bundled_models

HOSTILE = (
    "x|y](https://evil.example) <img src=x onerror=alert(1)> ![a](b) `code` \\| [l]: u\n# Title\n---\nlicense: mit"
)


@pytest.fixture(scope="module")
def made(tiny_run: Path) -> tuple[SamplePlan, Origin]:
    model = load(tiny_run, device="cpu")
    return plan_samples(model, 4, format="npz"), origin_of(model)


def front_matter(card: str) -> dict[str, Any]:
    _, matter, _ = card.split("---\n", 2)
    content = yaml.safe_load(matter)
    assert isinstance(content, dict)
    return content


@pytest.mark.parametrize("text", ["caf\u00e9", "\U0001f600", "\\U0001f600", "a: b # c", HOSTILE, "\x7f\x85\u2028\t"])
def test_any_text_is_quoted_so_that_yaml_reads_it(text: str) -> None:
    assert yaml.safe_load(f"key: {quoted(text)}") == {"key": text}


def test_names_add_nothing_to_the_card(made: tuple[SamplePlan, Origin]) -> None:
    plan, origin = replace(made[0], format="parquet"), made[1]
    names = ("\U0001f600", HOSTILE)
    data = {"name": HOSTILE, "split": HOSTILE, "licence": HOSTILE, "count": 3, "fingerprint": HOSTILE}
    hostile = Origin(names, origin.image, {**origin.model, "data": data}, origin.versions)
    card = data_card(plan, hostile, dict.fromkeys(names, 2))
    matter = front_matter(card)
    assert matter["license"] == "other"
    assert list(matter["dataset_info"]["features"][1]["dtype"]["class_label"]["names"].values()) == list(names)
    body = card.split("---\n", 2)[2]
    assert "<" not in body and "\n# Title" not in body
    unescaped = body.replace("\\\\", "").replace("\\[", "").replace("\\]", "").replace("\\`", "")
    assert "[" not in unescaped and "](" not in unescaped


def test_names_add_nothing_to_the_card_of_a_model(tiny_run: Path) -> None:
    model = load(tiny_run, device="cpu")
    data = {**model.header["data"], "name": HOSTILE, "split": HOSTILE, "licence": HOSTILE, "fingerprint": HOSTILE}
    measured = read_header(bundled_models()["mnist-fast"])["sampler_card"]
    hostile = {**measured, "data": HOSTILE, "features": HOSTILE, "device": HOSTILE}
    header = {**model.header, "data": data, "class_names": [HOSTILE], "sampler_card": hostile}
    card = model_card(header, model.recipe(), "Use it.", library="synthgen")
    assert front_matter(card)["license"] == "other"
    body = card.split("---\n", 2)[2]
    assert "<" not in body and "\n# Title" not in body and "](" not in body.replace("\\]", "")


def test_a_card_needs_nothing_that_a_checkpoint_may_lack(made: tuple[SamplePlan, Origin]) -> None:
    plan, origin = made
    bare = Origin(origin.class_names, origin.image, {"data": {}, "training": {}}, {})
    assert data_card(plan, bare, {}).startswith("---\n")
