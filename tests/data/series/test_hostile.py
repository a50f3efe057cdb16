"""Files that lie, are damaged or mean nothing: an error of ours, or series; never anything else, never a pickle."""

from __future__ import annotations

import contextlib
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthgen.config.series import SeriesDataConfig
from synthgen.data.series.inspection import inspect_series
from synthgen.data.series.reading import read_series
from synthgen.data.series.sources import is_series
from synthgen.errors import SynthgenError, UsageError


def archive(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


WHOLE = archive(
    X_train=np.random.default_rng(0).normal(size=(6, 5, 2)).astype(np.float32),
    X_test=np.zeros((3, 5, 2), np.float32),
    y_train=np.array(list("abcabc")),
    y_test=np.array(list("abc")),
    len_train=np.array([5, 4, 3, 5, 5, 2]),
    len_test=np.array([5, 5, 5]),
)


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return pytest.fail, ("a pickle was read",)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255), cut=st.booleans())
def test_damaged_archives(tmp_path: Path, place: int, byte: int, cut: bool) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(WHOLE[:place] if cut else WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :])
    is_series(path)
    with contextlib.suppress(SynthgenError):
        read_series(path, split="train")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.zeros((3, 4, 0))}, "has the shape"),
        ({"X": np.zeros((0, 4, 2))}, "has the shape"),
        ({"X": np.zeros(4)}, "has the shape"),
        ({"X": np.zeros((2, 3, 4, 5))}, "has the shape"),
        ({"X": np.array([["a", "b"]])}, "values of type"),
        ({"X": np.zeros((3, 4, 2), complex)}, "values of type"),
        ({"X": np.full((3, 4, 2), np.inf)}, "channel 'channel_1': inf; only finite"),
        ({"X": np.full((3, 4, 2), np.nan)}, "the sequence 0 holds no value at all"),
        ({"X": np.zeros((3, 4, 2)), "y": np.zeros(4, int)}, "classes must be 3 whole numbers or texts"),
        ({"X": np.zeros((3, 4, 2)), "y": np.array([1.0, 2.0, 2.5])}, "classes must be"),
        ({"X": np.zeros((3, 4, 2)), "y": np.array([1.0, np.nan, 2.0])}, "classes must be"),
        ({"X": np.zeros((3, 4, 2)), "len": np.array([1, 2, 5])}, "whole numbers from 1 to 4"),
        ({"X": np.zeros((3, 4, 2)), "len": np.array([0, 2, 4])}, "whole numbers from 1 to 4"),
        ({"X_train": np.zeros((3, 4, 2)), "X_test": np.zeros((3, 4, 1))}, "2 and 1 channels"),
        ({"X_train": np.zeros((3, 4, 2)), "X_test": np.zeros((3, 4, 2)), "y_train": np.zeros(3, int)}, "one of its"),
        ({"one": np.zeros((3, 4, 2)), "two": np.zeros((3, 4, 2))}, "its arrays are one, two"),
        ({"X": np.full((2, 3, 1), 2**63, np.uint64)}, "more than 64 bits"),
    ],
)
def test_archives_that_are_no_series(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    (tmp_path / "a.npz").write_bytes(archive(**arrays))
    with pytest.raises(UsageError, match=message):
        read_series(tmp_path / "a.npz")


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    objects = np.empty((2, 3, 1), object)
    objects[:] = Bomb()
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": objects.shape})
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.npz", "w") as made:
        made.writestr("X.npy", stream.getvalue() + pickle.dumps(Bomb()))
    assert not is_series(tmp_path / "a.npz")
    with pytest.raises(UsageError, match="holds Python objects"):
        read_series(tmp_path / "a.npz")
    labels = {"X": np.zeros((2, 3, 1)), "y": np.array(["a", None], object)}
    np.savez(tmp_path / "b.npz", **labels)
    with pytest.raises(UsageError, match="holds Python objects"):
        read_series(tmp_path / "b.npz")


CELLS = st.sampled_from(
    ["", "1", "2.5", "-1e308", "1e400", "nan", "NA", "2024-01-01", "2024-01-02 03:00", "x", "true", "0", '"', "é"]
)
TEXTS = st.lists(st.lists(CELLS, min_size=2, max_size=3), min_size=1, max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=TEXTS, header=st.sampled_from(["time,v", "id,t,v", "date,id", "a,b,c", "split,v"]))
def test_tables_of_anything(tmp_path: Path, rows: list[list[str]], header: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]), encoding="utf-8")
    for config in (SeriesDataConfig(window=3), SeriesDataConfig(validation=0.3)):
        with contextlib.suppress(SynthgenError):
            inspect_series(path, config)


def test_folders_that_are_no_series(tmp_path: Path) -> None:
    assert not is_series(tmp_path)
    with pytest.raises(UsageError, match="is a folder without series"):
        read_series(tmp_path)
    (tmp_path / "a.csv").write_text("v\n1\n2\n")
    assert not is_series(tmp_path)  # one table
    assert read_series(tmp_path).steps == 2
    (tmp_path / "b.csv").write_text("v\n3\n4\n")
    assert is_series(tmp_path)
    (tmp_path / "picture.png").write_bytes(b"")
    assert not is_series(tmp_path)


def test_known_series_say_where_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthgen.data.locations.checkout_data", lambda: None)
    monkeypatch.setenv("SYNTHGEN_DATA_DIR", str(tmp_path))
    assert is_series("stocks") and is_series("sines") and not is_series("adult")
    with pytest.raises(UsageError, match="the series stocks are not on this machine") as caught:
        read_series("stocks")
    assert "series/stock_data.csv" in str(caught.value.hint)
    with pytest.raises(UsageError, match="there is no"):
        read_series("stoks.csv")
