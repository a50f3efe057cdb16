"""`synthgen evaluate` as a user runs it: streams, exit codes, the JSON's shape, the report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from synthgen.data import load_images
from tests.conftest import Cli

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dimmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 real digits, darkened: near, but not the same."""
    data = load_images("mnist-mini", split="test", limit=400)
    path = tmp_path_factory.mktemp("dimmed") / "dimmed.npz"
    np.savez(path, images=(data.images * 0.7).astype(np.uint8), labels=data.labels, class_names=data.class_names)
    return path


def test_a_person_reads_figures_floors_and_sentences(cli: Cli, dimmed: Path, tmp_path: Path) -> None:
    done = cli("evaluate", "--real", "mnist-mini", "--fake", dimmed, "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    for text in ("FID", "KID", "inception score", "precision", "recall", "class agreement", "real floor"):
        assert text in done.stdout
    assert re.search(r"FID [\d.]+ is [\d,.]+ times the [\d.]+ of other real images at the same n", done.stdout)
    assert "n = 400 a side, features domain-mnist" in done.stdout
    assert "warning: n = 400: below 2,000 images" in done.stderr
    assert "next: synthgen augment-classifier --real mnist-mini --synthetic" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "domain-mnist" in page and page.count("data:image/png") >= 2
    assert "http" not in page.replace("http-equiv", "")
    saved = json.loads((tmp_path / "report" / "evaluation.json").read_text(encoding="utf-8"))
    assert saved["schema_version"] == 1 and saved["n"] == 400

    again = cli("evaluate", "--real", "mnist-mini", "--fake", dimmed, "--out", tmp_path / "report")
    assert again.returncode == 2 and "exists already" in again.stderr


def test_a_script_reads_one_document(cli: Cli, dimmed: Path) -> None:
    done = cli(
        "evaluate", "--real", "mnist-mini", "--fake", dimmed, "--count", 100, "--metrics", "prc,fid,classes", "--json"
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema_version"] == 1 and document["kind"] == "synthgen-evaluation"
    assert list(document["metrics"]) == ["fid", "precision", "recall"]
    for metric in document["metrics"].values():
        assert metric["n"] == 100 and metric["extractor"] == "domain-mnist"
        assert isinstance(metric["value"], float) and isinstance(metric["floor"], float)
    assert len(document["classes"]) == 10
    assert document["real"]["used"] == 5000 and document["fake"]["used"] == 100
    assert document["report"] is None


def test_a_gate_that_is_not_met_ends_with_3_after_everything_is_written(cli: Cli, dimmed: Path, tmp_path: Path) -> None:
    gates = ("--fail-if", "fid>2*floor", "--fail-if", "recall<0.1%")
    done = cli(
        *("evaluate", "--real", "mnist-mini", "--fake", dimmed, "--metrics", "fid,prc", *gates),
        *("--count", 100, "--out", tmp_path / "out", "--json"),
    )
    assert done.returncode == 3, done.stderr
    document = json.loads(done.stdout)  # one document, the result
    assert [gate["passed"] for gate in document["gates"]] == [False, True]
    assert re.search(r"error: a quality gate was not met: fid>2\*floor fails: FID is .* above the limit", done.stderr)
    assert "Traceback" not in done.stderr
    saved = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert saved["gates"] == document["gates"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "--fail-if &#x27;fid&gt;2*floor&#x27;" in page or "--fail-if 'fid&gt;2*floor'" in page


def test_several_sets_stand_side_by_side(cli: Cli, dimmed: Path, tmp_path: Path) -> None:
    with np.load(dimmed) as arrays:
        half = {name: arrays[name] if name == "class_names" else arrays[name][:300] for name in arrays}
    np.savez(tmp_path / "darker.npz", **half | {"images": half["images"] // 3})
    options = ("--real", "mnist-mini", "--fake", dimmed, "--fake", tmp_path / "darker.npz", "--metrics", "fid,prc")
    own = {"SYNTHGEN_CACHE_DIR": str(tmp_path / "cache")}
    done = cli("evaluate", *options, "--out", tmp_path / "out", env=own)
    assert done.returncode == 0, done.stderr
    heading = next(line for line in done.stdout.splitlines() if line.startswith("metric"))
    assert heading.split() == ["metric", "dimmed.npz", "darker.npz", "real", "floor"]
    assert "is nearest to the real images: FID" in done.stdout
    assert "n = 300 a side" in done.stdout
    assert done.stderr.count("reading the real images: 0/") == 1
    assert (tmp_path / "out" / "report.html").is_file()
    again = cli("evaluate", *options, "--json", env=own)
    document = json.loads(again.stdout)
    assert document["schema_version"] == 1 and document["kind"] == "synthgen-comparison"
    assert [Path(one["fake"]["name"]).name for one in document["evaluations"]] == ["dimmed.npz", "darker.npz"]
    assert "reading the" not in again.stderr  # all features were kept


def test_quiet_is_the_first_figure(cli: Cli, dimmed: Path) -> None:
    done = cli("evaluate", "--real", "mnist-mini", "--fake", dimmed, "--metrics", "fid", "--holdout", "test", "--quiet")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0
    assert done.stdout.count("\n") == 1


def test_a_set_against_itself_is_at_distance_zero(cli: Cli, dimmed: Path) -> None:
    done = cli("evaluate", "--real", dimmed, "--fake", dimmed, "--metrics", "fid,prc", "--json")
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)["metrics"]
    assert metrics["fid"]["value"] < 1e-6
    assert metrics["precision"]["value"] == metrics["recall"]["value"] == 1.0


def test_a_run_is_sampled_and_real_images_take_its_size(cli: Cli, tiny_run: Path) -> None:
    """The model draws 8 x 8; MNIST is 28 x 28."""
    done = cli("evaluate", "--real", "mnist-mini", "--fake", tiny_run, "--count", 32, "--metrics", "fid", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["fake"]["count"] == document["n"] == 32
    assert "read at the synthetic images' size: 8 x 8 pixels, grey" in done.stderr
    assert "drawing 32 samples" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--metrics", "fid,kdi"), 2, "unknown metric 'kdi' (did you mean 'kid'?)"),
        (("--fail-if", "fdi>30"), 2, "names an unknown figure 'fdi' (did you mean 'fid'?)"),
        (("--fail-if", "kid>1", "--metrics", "fid"), 2, "needs the metric kid, which --metrics leaves out"),
        (("--features", "domian"), 2, "no features 'domian', and no file of that name (did you mean 'domain'?)"),
        (("--count", "3"), 2, "3 images a side are too few"),
        (("--count", "0"), 2, "--count"),
        (("--inception-weights", "x.pth"), 2, "--inception-weights belongs to --features inception"),
        (("--features", "inception", "--inception-weights", "x.pth"), 2, "no file of Inception weights at x.pth"),
    ],
)
def test_mistakes_get_one_clear_error(cli: Cli, dimmed: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = cli("evaluate", "--real", "mnist-mini", "--fake", dimmed, *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == "" and "Traceback" not in done.stderr


def test_sources_that_are_not_there_or_of_the_wrong_kind(cli: Cli, tiny_run: Path) -> None:
    done = cli("evaluate", "--real", "mnist-mini", "--fake", "synthetik")
    assert done.returncode == 2 and "there is no data set, folder or file 'synthetik'" in done.stderr
    done = cli("evaluate", "--real", tiny_run, "--fake", "mnist-mini")
    assert done.returncode == 2 and "is a model, not images" in done.stderr


def test_inception_offline_is_a_clear_failure_with_the_alternative(cli: Cli, dimmed: Path, tmp_path: Path) -> None:
    done = cli(
        *("evaluate", "--real", "mnist-mini", "--fake", dimmed, "--features", "inception", "--json"),
        env={"SYNTHGEN_MIRROR": "http://127.0.0.1:9", "SYNTHGEN_CACHE_DIR": str(tmp_path), "TORCH_HOME": str(tmp_path)},
    )
    assert done.returncode == 1
    assert "weights-inception-2015-12-05-6726825d.pth" in done.stderr and "could not be downloaded" in done.stderr
    error = json.loads(done.stdout)["error"]
    assert "--features domain" in error["hint"] and "--inception-weights FILE" in error["hint"]
