"""What is written reads back to the same configuration, here and with PyYAML."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from synthgen.config.dumping import config_schema, dump_config
from synthgen.config.loading import load_config
from synthgen.config.modalities import CONFIGS
from synthgen.config.schema import Config, DistillConfig
from synthgen.config.tables import TableConfig
from synthgen.config.validation import fields, group_of
from synthgen.config.yaml_reader import read_yaml

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(
    ["no", "1e-4", "1:30", "null", "-", "a: b", "# c", "017", "1_000", "2024-01-01", "C:\\data", "~", "'", ".inf"]
)
positive = st.floats(1e-9, 1e9)
shares = st.floats(0, 0.999)

VALUES: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "data": {
        "source": texts,
        "image_size": st.none() | st.integers(4, 1024) | st.tuples(st.integers(4, 1024), st.integers(4, 1024)),
        "channels": st.sampled_from([None, 1, 3]),
        "classes": st.none() | st.lists(texts, min_size=1, max_size=3).map(tuple),
        "limit": st.none() | st.integers(1, 10**9),
        "augment": st.fixed_dictionaries({"horizontal_flip": st.booleans(), "shift": st.integers(0, 64)}),
    },
    "model": {
        "channels": st.lists(st.integers(1, 256).map(lambda n: 8 * n), min_size=1, max_size=6).map(tuple),
        "dropout": shares,
        "conditioning": st.sampled_from(["auto", "class", "none"]),
    },
    "diffusion": {"noise_mean": st.floats(-1e6, 1e6), "min_snr_gamma": positive},
    "training": {
        "budget": st.none() | st.sampled_from(["90s", "15m", "1h30m", "2h"]),
        "learning_rate": positive,
        "betas": st.tuples(shares, shares),
        "seed": st.integers(0, 2**63 - 1),
    },
    "sampling": {
        "sampler": st.sampled_from(["ddpm", "dpm++2m-sde"]),
        "guidance_interval": st.tuples(positive, positive).map(sorted).map(tuple),
    },
}

configs = st.fixed_dictionaries(
    {}, optional={name: st.fixed_dictionaries({}, optional=group) for name, group in VALUES.items()}
).map(Config.model_validate)


@given(configs, st.booleans(), st.booleans())
def test_round_trip(config: Config, comments: bool, changed_only: bool) -> None:
    text = dump_config(config, comments=comments, changed_only=changed_only)
    assert Config.model_validate(read_yaml(text, "x").value) == config
    assert Config.model_validate(yaml.safe_load(text)) == config  # an independent reader, of YAML 1.1


def test_file_round_trip(tmp_path: Any) -> None:
    config = load_config("cifar10", ["data.classes=[cat, no]", "training.steps=3"])
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    assert load_config(path) == config


def test_comments_explain_every_key() -> None:
    text = dump_config(Config(), comments=True)
    text += dump_config(DistillConfig(), comments=True)  # null in a config that distils nothing
    for key, field in fields():
        if group_of(field) is None:
            assert f"# {field.description}" in text, key


def test_changed_only_leaves_the_defaults_out() -> None:
    assert dump_config(Config(), changed_only=True) == "{}\n"
    config = load_config(None, ["data.augment.shift=2"])
    assert dump_config(config, changed_only=True) == "data:\n  augment:\n    shift: 2\n"


@pytest.mark.parametrize("config", CONFIGS.values())
def test_the_schema_knows_every_key(config: type[Config] | type[TableConfig]) -> None:
    schema = config_schema()
    json.dumps(schema)
    definition = schema["$defs"][config.__name__]
    properties = {"": definition["properties"]}
    for key, field in fields(config):
        group, _, name = key.rpartition(".")
        assert name in properties[group], key
        model = group_of(field)
        if model is not None:
            definition = schema["$defs"][model.__name__]
            assert definition["additionalProperties"] is False
            properties[key] = definition["properties"]


def test_a_table_round_trip(tmp_path: Any) -> None:
    """Columns are named by their owners: with spaces, colons, numbers, and words that YAML reads as something else."""
    columns = {"my col": {"kind": "category"}, "2019": {"kind": "number", "missing": ["-"]}, "no: yes": {}}
    rules = [{"less_equal": ["low", "high"]}, {"sum": ["a", "b"], "total": "c"}]
    config = TableConfig.model_validate({"data": {"columns": columns, "constraints": rules, "drop": ["x, y"]}})
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config, comments=True), encoding="utf-8")
    assert load_config(path) == config
