from __future__ import annotations

import io
import json

import pytest

from synthgen.data.classes import Manifest, class_folder, natural, read_manifest


def test_natural_order_of_whole_numbers_only():
    assert natural({"10", "9", "-1", "2"}) == ("-1", "2", "9", "10")
    assert natural({"10", "9", "b"}) == ("10", "9", "b")
    assert natural({"07", "7"}) == ("07", "7")
    assert natural(set()) == ()


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("Ankle boot", "Ankle boot"),
        ("7", "7"),
        ("T-shirt/top", "class-00-T-shirt_top"),
        ("..", "class-00-__"),
        (".hidden", "class-00-_hidden"),
        ("a\nb", "class-00-a_b"),
        ("C:\\x", "class-00-C__x"),
        ("x" * 201, "class-00-" + "x" * 60),
        ("", "class-0"),
    ],
)
def test_no_class_leads_out_of_the_folder(name, folder):
    assert class_folder(name, 0, (name,) + ("other",) * 9) == folder
    assert "/" not in folder


def manifest(**content: object) -> Manifest:
    return read_manifest(io.BytesIO(json.dumps(content).encode()))


def test_a_manifest_of_ours_knows_the_classes():
    found = manifest(kind="synthgen-samples", class_names=["T-shirt/top", "Bag"])
    assert (found.ours, found.class_names) == (True, ("T-shirt/top", "Bag"))
    assert found.folders() == {"class-0-T-shirt_top": "T-shirt/top", "Bag": "Bag"}


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"kind": "web-app"}'])
def test_other_manifests_mean_nothing(content):
    assert read_manifest(io.BytesIO(content)) == Manifest()
