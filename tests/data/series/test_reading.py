"""Series from files and frames: which part each column has, how times go on, and what is refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthgen.config.series import SeriesDataConfig
from synthgen.data.series.reading import read_series, series_from_array, series_from_frame
from synthgen.data.series.schema import SeriesData, SeriesSchema
from synthgen.errors import UsageError
from synthgen.reporting import NullReporter

HOURS = pd.date_range("2024-01-01", periods=200, freq="h")


def wide(**columns: object) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    return pd.DataFrame({"when": HOURS, "a": generator.normal(size=200), **columns})


def long(count: int = 8, steps: int = 50) -> pd.DataFrame:
    """`count` sequences keyed by `sensor`, a number and a category; age and site belong to the sensor."""
    generator = np.random.default_rng(1)
    parts = [
        pd.DataFrame(
            {
                "sensor": f"s{number}",
                "when": HOURS[:steps],
                "age": 3 * number,
                "site": "ab"[number % 2],
                "x": generator.normal(size=steps),
                "mode": generator.choice(["on", "off"], steps),
            }
        )
        for number in range(count)
    ]
    return pd.concat(parts, ignore_index=True)


def roles(data: SeriesData) -> tuple[object, ...]:
    schema = data.schema
    return schema.time, schema.id, schema.label, schema.static, schema.channels


def test_wide_csv_with_times(tmp_path: Path) -> None:
    frame = wide(b=np.arange(200) % 5)
    frame.to_csv(tmp_path / "a.csv", index=False)
    data = read_series(tmp_path / "a.csv")
    assert roles(data) == ("when", None, None, (), ("a", "b"))
    assert (len(data), data.steps, data.schema.form) == (1, 200, "wide")
    assert data.schema.step["interval"] == 3_600_000_000
    np.testing.assert_array_equal(data.frame["a"], frame["a"])
    assert [column.kind for column in data.schema.table.columns] == ["datetime", "number", "integer"]


@pytest.mark.parametrize(("header", "told"), [("0.5,1.5", True), ("3,1", True), ("0,1", False), ("a,1", False)])
def test_a_first_line_of_numbers_is_told(tmp_path: Path, header: str, told: bool) -> None:
    heard = []

    class Listening(NullReporter):
        def warn(self, message: str) -> None:
            heard.append(message)

    (tmp_path / "a.csv").write_text(f"{header}\n1.0,2.0\n3.5,4.5\n5.5,1.5\n")
    read_series(tmp_path / "a.csv", SeriesDataConfig(window=2), reporter=Listening())
    assert ["taken for the names of the columns" in message for message in heard] == [True] * told


def test_wide_csv_without_times(tmp_path: Path) -> None:
    wide().drop(columns="when").to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    data = read_series(tmp_path / "a.tsv", split="train")
    assert roles(data) == (None, None, None, (), ("a",))
    assert (data.steps, data.schema.step) == (160, {})


def test_long_form_finds_ids_and_covariates(tmp_path: Path) -> None:
    long().to_csv(tmp_path / "a.csv", index=False)
    data = read_series(tmp_path / "a.csv")
    assert roles(data) == ("when", "sensor", None, ("age", "site"), ("x", "mode"))
    assert data.lengths.tolist() == [50] * 8
    labelled = read_series(tmp_path / "a.csv", SeriesDataConfig(label="site"))
    assert roles(labelled) == ("when", "sensor", "site", ("age",), ("x", "mode"))


def test_parquet_is_the_same_as_its_frame(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = long()
    frame.to_parquet(tmp_path / "a.parquet")
    data, other = read_series(tmp_path / "a.parquet"), series_from_frame(frame)
    assert roles(data) == roles(other)
    assert data.fingerprint == other.fingerprint


def test_ids_need_no_telling_name() -> None:
    frame = long().rename(columns={"sensor": "quux"})
    assert series_from_frame(frame).schema.id == "quux"
    told = series_from_frame(frame, SeriesDataConfig(id="quux", time="when"))
    assert told.fingerprint == series_from_frame(frame).fingerprint


def test_blocks_of_an_id_without_times() -> None:
    data = series_from_frame(long().drop(columns="when"))
    assert (data.schema.id, data.schema.time, len(data)) == ("sensor", None, 8)


def test_a_frame_with_dates_as_index() -> None:
    frame = wide().set_index("when")
    assert series_from_frame(frame).fingerprint == series_from_frame(wide()).fingerprint
    frame.index.name = None
    assert series_from_frame(frame).schema.time == "time"


def test_row_numbers_are_times_or_nothing() -> None:
    numbered = pd.DataFrame({"unnamed_1": range(200), "a": np.random.default_rng(0).normal(size=200)})
    assert series_from_frame(numbered).schema.time == "unnamed_1"
    both = wide(row=range(200))
    assert roles(series_from_frame(both)) == ("when", None, None, (), ("a",))


def test_a_channel_called_t_is_no_time() -> None:
    frame = pd.DataFrame({"T": np.sin(np.arange(60)), "v": np.arange(60.0) % 7})
    assert roles(series_from_frame(frame))[0] is None


def test_numeric_times() -> None:
    frame = pd.DataFrame({"time": np.arange(60) * 0.5, "v": np.random.default_rng(0).normal(size=60)})
    step = series_from_frame(frame).schema.step
    assert (step["kind"], step["unit"], step["interval"], step["whole"]) == ("number", "regular", 0.5, False)


def test_unsorted_rows_give_the_same_series() -> None:
    for frame in (wide(), long()):
        numbered = frame.assign(when=(frame["when"] - HOURS[0]) // pd.Timedelta("1h")).rename(columns={"when": "t"})
        for own in (frame, numbered, numbered.assign(t=numbered["t"] * 0.5)):
            mixed = own.sample(frac=1, random_state=3)
            assert series_from_frame(mixed).fingerprint == series_from_frame(own).fingerprint
            assert roles(series_from_frame(mixed))[0] in ("when", "t")


def test_short_gaps_are_missing_steps_and_long_ones_cut() -> None:
    frame = wide(b=1).drop(index=[10, 11, 50, *range(100, 140)])
    data = series_from_frame(frame, SeriesDataConfig(window=24))
    assert data.lengths.tolist() == [100, 60]
    assert data.recording.tolist() == [0, 0]
    assert np.flatnonzero(data.frame["a"].isna()).tolist() == [10, 11, 50]
    assert data.frame["b"].notna().all()  # a constant stays one
    np.testing.assert_array_equal(data.frame["when"][:100], HOURS[:100])


def test_the_same_time_twice_names_both_rows(tmp_path: Path) -> None:
    frame = pd.concat([wide(), wide().iloc[[3]]])
    frame.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UsageError, match=r"column 'when' holds .* twice, in line 5 and line 202"):
        read_series(tmp_path / "a.csv")
    twice = pd.concat([long(), long().iloc[[60]]])
    with pytest.raises(UsageError, match="of the sequence 's1' twice, in row 60 and row 400"):
        series_from_frame(twice)


def test_months_business_days_and_irregular_times() -> None:
    values = np.random.default_rng(0).normal(size=120)
    cases = {
        "month": pd.date_range("2000-01-31", periods=120, freq="ME"),
        "business": pd.bdate_range("2020-01-01", periods=120),
        "irregular": HOURS[0] + pd.to_timedelta(np.cumsum(np.arange(1, 121) ** 2 % 17 + 1), "min"),
    }
    for unit, times in cases.items():
        step = series_from_frame(pd.DataFrame({"date": times, "v": values})).schema.step
        assert step["unit"] == unit


def test_mixed_rates_learn_the_time_between_steps() -> None:
    parts = [
        pd.DataFrame({"id": number, "t": pd.date_range("2024", periods=50, freq=freq), "x": np.arange(50.0)})
        for number, freq in enumerate(["h", "15min"])
    ]
    assert series_from_frame(pd.concat(parts)).schema.step["unit"] == "irregular"


def test_a_class_that_changes_cuts_the_recording() -> None:
    frame = wide(act=["walk"] * 60 + ["run"] * 70 + ["walk"] * 70)
    data = series_from_frame(frame, SeriesDataConfig(label="act"))
    assert data.lengths.tolist() == [60, 70, 70]
    assert data.frame["act"].iloc[data.offsets[:-1]].tolist() == ["walk", "run", "walk"]


def test_a_column_called_split_says_what_is_tested() -> None:
    frame = wide(split=["train"] * 150 + ["test"] * 50)
    assert series_from_frame(frame, split="test").steps == 50
    assert series_from_frame(frame, split="train").steps == 150


@pytest.mark.parametrize(
    ("change", "config", "message"),
    [
        ({"note": [f"a long story number {n} of all" for n in range(200)]}, {}, "'note' is free text: 200 different"),
        ({"b": HOURS + pd.Timedelta("1D")}, {}, "column 'b' holds dates, which no channel can be"),
        ({"when": [*HOURS[:100], pd.NaT, *HOURS[101:]]}, {}, "row 100: nothing in the column 'when'"),
        ({}, {"time": "wen"}, "has no column 'wen' .did you mean 'when'"),
        ({}, {"time": "when", "id": "when"}, "both name the column 'when'"),
        ({"b": list("ab") * 100}, {"time": "b"}, "the column 'b' is no time"),
        ({}, {"static": ("a",)}, "is one sequence, so 'a' is no covariate"),
        ({}, {"drop": ("a",)}, "has no channel"),
        ({"b": np.where(np.arange(200) == 7, np.inf, 1.5)}, {}, "column 'b' holds inf in row 7"),
    ],
)
def test_one_clear_error(change: dict[str, object], config: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        series_from_frame(wide(**change), SeriesDataConfig.model_validate(config))


def test_a_row_without_a_class_is_named() -> None:
    frame = long().assign(mode=["on"] * 210 + [None] * 50 + ["off"] * 140)
    with pytest.raises(UsageError, match="row 210: nothing in the column 'mode', which holds the classes"):
        series_from_frame(frame, SeriesDataConfig(label="mode"))
    parts = ["train"] * 200 + ["test"] * 200  # what is only tested with needs none
    data = series_from_frame(frame.assign(split=parts), SeriesDataConfig(label="mode"), split="train")
    assert set(data.frame["mode"]) == {"on"}


def test_an_infinite_number_of_parquet_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    wide(b=[1.5, np.inf] * 100).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UsageError, match="column 'b' holds inf in row 1: only finite numbers") as told:
        read_series(tmp_path / "a.parquet")
    assert "missing=" not in str(told.value.hint)  # texts mean nothing there


def test_a_covariate_that_changes_is_named() -> None:
    with pytest.raises(UsageError, match=r"row \d+: the column 'x' changes within the sequence 's\d'"):
        series_from_frame(long(), SeriesDataConfig(static=("x",)))


def test_few_steps_constants_and_empty_channels_are_read() -> None:
    data = series_from_frame(pd.DataFrame({"v": [1.0, 2, 3, 4, 5], "c": 1, "m": np.nan}))
    kinds = [data.schema.table[name].kind for name in data.schema.channels]
    assert (data.steps, kinds) == (5, ["number", "constant", "constant"])


def test_a_folder_with_a_file_for_each_sequence(tmp_path: Path) -> None:
    frame = long(6).drop(columns=["sensor", "site", "age"])
    for number, kind in itertools.product(range(3), ("fast", "slow")):
        (tmp_path / kind).mkdir(exist_ok=True)
        frame[:40].assign(x=frame["x"][:40] + number).to_csv(tmp_path / kind / f"{number}.csv", index=False)
    data = read_series(tmp_path)
    assert roles(data) == ("when", "file", "class", (), ("x", "mode"))
    assert (len(data), data.schema.form) == (6, "folder")
    (tmp_path / "fast" / "1.csv").write_text("when,x\n2024-01-01,1\n")
    with pytest.raises(UsageError, match=r"1\.csv: its columns are not those of .*0\.csv: 'mode'"):
        read_series(tmp_path)


def test_files_of_a_folder_whose_names_have_dots_are_sequences_of_their_own(tmp_path: Path) -> None:
    for name in ("2024.01.csv", "2024.02.csv", "a.csv", "a.tsv"):
        (tmp_path / name).write_text("v\n" + "\n".join(map(str, range(5))))
    data = read_series(tmp_path)
    assert len(data) == 4 and sorted(set(data.frame["file"])) == ["2024.01.csv", "2024.02.csv", "a.csv", "a.tsv"]
    (tmp_path / "a.tsv").unlink()
    assert sorted(set(read_series(tmp_path).frame["file"])) == ["2024.01", "2024.02", "a"]


def test_arrays_with_lengths_and_classes(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(6, 5, 2)).astype(np.float32)
    values[2, 3:] = np.nan
    np.savez(tmp_path / "a.npz", X=values, y=np.array(list("aabbab")))
    data = read_series(tmp_path / "a.npz")
    assert data.lengths.tolist() == [5, 5, 3, 5, 5, 5]
    assert roles(data) == (None, None, "label", (), ("channel_1", "channel_2"))
    same = series_from_array(values, labels=list("aabbab"), lengths=np.array([5, 5, 3, 5, 5, 5]))
    assert same.fingerprint == data.fingerprint
    np.save(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(read_series(tmp_path / "a.npy").frame["channel_2"], data.frame["channel_2"])
    with pytest.raises(UsageError, match="there is no file"):
        read_series(tmp_path / "b.npy")
    flat = series_from_array(values[..., 0])
    assert (len(flat), flat.schema.channels) == (6, ("channel_1",))
    numbered = series_from_array(values, labels=[1.0, 1.0, 2.0, 2.0, 1.0, 2.0])  # as text files have them
    assert numbered.frame["label"].dtype == "Int64" and sorted(set(numbered.frame["label"])) == [1, 2]


def test_channels_of_an_archive_are_told_by_their_names(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(6, 5, 2))
    np.savez(tmp_path / "a.npz", X=values, channel_names=np.array(["hot", "cold"]))
    np.savez(tmp_path / "b.npz", X=values[..., ::-1], channel_names=np.array(["cold", "hot"]))
    schema = read_series(tmp_path / "a.npz").schema
    other = read_series(tmp_path / "b.npz", schema=schema)
    np.testing.assert_array_equal(other.frame["hot"], values[..., 0].reshape(-1))
    np.savez(tmp_path / "c.npz", X=values, y=np.arange(6), channel_names=np.array(["label", "b"]))
    with pytest.raises(UsageError, match="a channel is called 'label'"):
        read_series(tmp_path / "c.npz")


@pytest.mark.parametrize("time", ["t", "time"])
def test_rows_by_time_of_sequences_beside_each_other(time: str) -> None:
    values = np.random.default_rng(0).normal(size=10)
    frame = pd.DataFrame({"id": ["--5", "b"] * 5, time: np.arange(10) // 2, "v": values})  # a sign is no number
    data = series_from_frame(frame)
    assert (len(data), roles(data)[:2]) == (2, (time, "id"))
    np.testing.assert_array_equal(data.frame["v"], [*values[::2], *values[1::2]])
    assert series_from_frame(frame.assign(id=7)).schema.time is None  # times that nothing tells apart


def test_official_parts_of_an_archive(tmp_path: Path) -> None:
    one, two = np.zeros((30, 4, 1)), np.ones((7, 4, 1))
    np.savez(tmp_path / "a.npz", X_train=one, X_test=two, y_train=np.arange(30) % 2, y_test=np.arange(7) % 2)
    config = SeriesDataConfig(validation=0.2)
    assert len(read_series(tmp_path / "a.npz")) == 37
    assert len(read_series(tmp_path / "a.npz", split="test")) == 7
    training = read_series(tmp_path / "a.npz", config, split="train")
    assert training.held_out is not None
    assert (len(training), len(training.held_out)) == (24, 6)
    assert len(read_series(tmp_path / "a.npz", SeriesDataConfig(protocol="leaky"), split="train")) == 37


def test_a_schema_reads_other_rows_in_its_terms(tmp_path: Path) -> None:
    real = series_from_frame(long())
    schema = SeriesSchema.from_dict(real.schema.to_dict())
    assert schema == real.schema
    few = long(2).assign(extra=1)
    few.to_csv(tmp_path / "few.csv", index=False)
    data = read_series(tmp_path / "few.csv", schema=schema)
    assert (data.schema, data.lengths.tolist()) == (schema, [50, 50])
    assert data.frame.equals(real.frame[:100])
    with pytest.raises(UsageError, match="has no column 'mode'"):
        series_from_frame(few.drop(columns="mode"), schema=schema)


def test_an_added_column_tells_sequences_apart() -> None:
    schema = series_from_frame(wide()).schema
    made = pd.concat([wide().assign(sequence=1), wide().assign(sequence=2)])
    data = series_from_frame(made, schema=schema)
    assert (len(data), data.schema) == (2, schema)


def test_limit_takes_sequences_evenly() -> None:
    data = series_from_frame(long(8), SeriesDataConfig(limit=2))
    assert data.frame["sensor"].unique().tolist() == ["s2", "s6"]


def test_settings_that_mean_series() -> None:
    from synthgen.config.modalities import wants_series

    assert wants_series(["data.window=24"])
    assert wants_series(["training.steps=5", "data.label=kind"])
    assert wants_series(["modality=series"])
    assert not wants_series(["data.window=24", "modality=tables"])
    assert not wants_series(["data.drop=[a]", "model.width=32"])
    assert not wants_series([])


def test_what_sampling_writes_is_read(tmp_path: Path) -> None:
    from synthgen.data.series.sources import is_series

    schema = series_from_frame(wide(b=5)).schema
    made = pd.concat([wide(b=5).assign(sequence=number) for number in (1, 2)])
    manifest = '{"modality": "series"}'
    made.to_csv(tmp_path / "a.csv", index=False)
    assert not is_series(tmp_path / "a.csv")
    (tmp_path / "a.csv.manifest.json").write_text(manifest)
    assert is_series(tmp_path / "a.csv")
    for shards in ("tables", "arrays"):
        folder = tmp_path / shards / "data"
        folder.mkdir(parents=True)
        (folder.parent / "manifest.json").write_text(manifest)
        for number in range(2):
            if shards == "tables":
                made.assign(sequence=made["sequence"] + 2 * number).to_csv(folder / f"{number}.csv", index=False)
            else:
                np.savez(folder / f"{number}.npz", X=np.full((2, 200, 2), 5.0), lengths=np.array([200, 200]))
        data = read_series(folder.parent, schema=schema)
        assert is_series(folder.parent) and data.lengths.tolist() == [200] * 4
        assert (data.frame["b"] == "5").all()
        assert len(read_series(folder.parent)) == 4
