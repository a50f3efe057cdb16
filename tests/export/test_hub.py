"""The folder for the hub: it samples, its card is valid YAML and says what was measured, no place of this machine."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from synthgen.errors import UsageError
from synthgen.export.exporting import export_model
from synthgen.export.quality import read_metrics
from synthgen.generation.model import load

EVALUATION = {
    "schema_version": 1,
    "kind": "synthgen-evaluation",
    "n": 64,
    "seed": 0,
    "real": {"name": "/home/somebody/mnist"},
    "warnings": ["few | images"],
    "metrics": {
        "fid": {"title": "FID", "value": 1.5, "floor": 0.1, "interval": [1.2, 1.8], "share": False},
        "recall": {"title": "Recall: 'of all'", "value": 0.8, "floor": None, "interval": None, "share": True},
    },
}


def front_matter(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


@pytest.mark.parametrize("dtype", [None, "fp16"])
def test_the_folder_samples_and_its_card_says_what_is_known(dtype, make_model, tmp_path):
    model = make_model("edm", "edm")
    result = export_model(model, tmp_path / "out", format="hub", dtype=dtype, metrics=EVALUATION)
    assert result.files == ("README.md", "config.json", "model.safetensors")
    again = load(tmp_path / "out", device="cpu")
    assert np.abs(again.sample(4).astype(int) - model.sample(4).astype(int)).max() <= (0 if dtype is None else 60)
    card = (tmp_path / "out" / "README.md").read_text()
    matter = front_matter(card)
    assert (matter["license"], matter["library_name"]) == ("other", "synthgen")
    figures = matter["model-index"][0]["results"][0]["metrics"]
    assert [(one["type"], one["value"]) for one in figures] == [("fid", 1.5), ("recall", 0.8)]
    for said in ("| FID | 1.5 (1.2 to 1.8) | 0.1 |", "| 80.0 % | – |", "few \\| images", "Intended use", "Licence"):
        assert said in card
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["class_names"], config["image"]["height"]) == (["top", "bottom"], 8)
    assert config["sha256"] == again.sha256
    for path in (tmp_path / "out").iterdir():
        assert str(tmp_path.parent.parent).encode() not in path.read_bytes(), path
    assert again.header["data"]["fingerprint"] == model.header["data"]["fingerprint"]


@pytest.mark.parametrize("kind", ["table_run", "series_run"])
def test_models_of_other_things(kind, request, tmp_path):
    model = load(request.getfixturevalue(kind), device="cpu")
    result = export_model(model, tmp_path / "out", format="hub", metrics=EVALUATION)
    assert result.samples.differing == 0
    matter = front_matter((tmp_path / "out" / "README.md").read_text())
    assert "pipeline_tag" not in matter


def test_metrics_that_are_none(make_model, tmp_path):
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(EVALUATION))
    assert read_metrics(path)["n"] == 64
    for text in ("", "[]", '{"kind": "synthgen-comparison"}', '{"kind": "synthgen-evaluation", "metrics": {"fid": 3}}'):
        path.write_text(text)
        with pytest.raises(UsageError, match="is not the result of one evaluation"):
            read_metrics(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_metrics(tmp_path / "nothing.json")
    with pytest.raises(UsageError, match="--metrics is not for onnx"):
        export_model(make_model("edm", "edm"), tmp_path / "out", format="onnx", metrics=EVALUATION)
