"""What the values of a column mean: each kind, and what lies between two of them."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthgen.config.tables import TableDataConfig
from synthgen.data.tables.inference import infer
from synthgen.data.tables.numbers import number_kind
from synthgen.data.tables.reading import read_table
from synthgen.data.tables.text import read_text
from synthgen.errors import UsageError
from synthgen.reporting import NullReporter
from synthgen.stopping import never_stop
from tests.data.tables.tables import column, kinds, read, write


class Told(NullReporter):
    """Keeps what was warned of."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def warn(self, message: str) -> None:
        self.texts.append(message)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2", "2"], "integer"),
        (["-1", "0", "+2"], "integer"),
        (["1", "", "2"], "integer"),
        (["2010", "2011", "2012", "2013", "2014", "2015", "2016"], "integer"),
        (["01", "02", "02"], "category"),
        (["0", "00123", "17"], "category"),
        (["12345678901234567", "22345678901234567", "22345678901234567"], "category"),
        (["1.0", "2.0", "2"], "number"),
        (["-11.0", ".5", "3."], "number"),
        (["1e-3", "2E5", "7"], "number"),
        (["1_000", "2", "3"], "category"),
        (["0x1f", "2", "3"], "category"),
        (["true", "false", "true"], "boolean"),
        (["TRUE", "FALSE", "NA"], "boolean"),
        (["yes", "no", "?"], "boolean"),
        (["Yes", "no", "yes"], "category"),
        (["yes", "no", "maybe"], "category"),
        (["0", "1", "1"], "integer"),
        (["2010-01-02", "1950-12-31", ""], "datetime"),
        (["2010-01-02T10:00:00Z", "1950-12-31T00:00:00Z", ""], "datetime"),
        (["2010-01-02 10:00:00.123", "1950-12-31 00:00:00.000", ""], "datetime"),
        (["31.12.1999", "1.1.2000", "2.2.2001"], "datetime"),
        (["12/31/1999", "01/13/2000", "02/20/2001"], "datetime"),
        (["3 Jan 2020", "14 Feb 2021", ""], "datetime"),
        (["10:15", "23:59", "00:00"], "datetime"),
        (["2010-02-30", "2010-01-01", "2010-01-01"], "category"),
        (["x", "x", "x"], "constant"),
        (["7", "7", "7"], "constant"),
        (["", "NA", "?"], "constant"),
        (["x", "", "x"], "category"),
        (["7", "", "7"], "integer"),
    ],
)
def test_kinds(tmp_path: Path, values: list[str], kind: str) -> None:
    data = read(tmp_path, column(values))
    assert kinds(data)["x"] == kind
    assert data.frame["x"].isna().tolist() == [value in ("", "NA", "?") for value in values]


def test_dates_come_out_right(tmp_path: Path) -> None:
    data = read(tmp_path, column(["31.12.1899 23:59", "01.02.2000 00:00", ""]))
    assert data.frame["x"].tolist()[:2] == [pd.Timestamp("1899-12-31 23:59"), pd.Timestamp("2000-02-01")]
    zoned = read(tmp_path, column(["2020-07-01T12:00:00+02:00", "2020-01-01T12:00:00+01:00", ""]))
    assert zoned.frame["x"].tolist()[:2] == [pd.Timestamp("2020-07-01 10:00"), pd.Timestamp("2020-01-01 11:00")]
    assert zoned.schema["x"].format["zone"] == "+00:00"


def test_what_is_ambiguous_is_said(tmp_path: Path) -> None:
    told = Told()
    data = read_table(write(tmp_path / "a.csv", column(["03/04/2010", "05/06/2011", "07/08/2012"])), reporter=told)
    assert data.frame["x"][0] == pd.Timestamp("2010-04-03")
    assert told.texts == [
        "column 'x': '03/04/2010' is taken as day and month; if months come first, its format is %m/%d/%Y"
    ]
    config = {"columns": {"x": {"format": "%m/%d/%Y"}}}
    assert read(tmp_path, column(["03/04/2010", "05/06/2011", "07/08/2012"]), **config).frame["x"][0] == pd.Timestamp(
        "2010-03-04"
    )
    told = Told()
    read_table(write(tmp_path / "b.csv", column(["a", "", "NA", "NA", "b"])), reporter=told)
    assert told.texts == ["column 'x': several texts mean missing; all are written as 'NA'"]


def test_missing_texts_can_be_chosen(tmp_path: Path) -> None:
    assert kinds(read(tmp_path, column(["1", "-", "2"])))["x"] == "category"
    assert kinds(read(tmp_path, column(["1", "-", "2"]), columns={"x": {"missing": ["-"]}}))["x"] == "integer"
    data = read(tmp_path, column(["None", "NA", "a"]), missing=["-"])
    assert data.frame["x"].tolist() == ["None", "NA", "a"]
    assert read_table(write(tmp_path / "b.csv", column(["-", "None"])), schema=data.schema).frame["x"].isna()[0]


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([str(i) for i in range(1, 31)], {"id": "sequence", "next": 31}),
        ([str(i) for i in np.random.default_rng(0).permutation(30)], {"id": "sequence", "next": 30}),
        ([f"A{i:04d}" for i in range(1, 31)], {"id": "numbered", "prefix": "A", "width": 4, "suffix": "", "next": 31}),
        ([f"{i}-x" for i in range(90, 120)], {"id": "numbered", "prefix": "", "width": 0, "suffix": "-x", "next": 120}),
        ([str(uuid.UUID(int=i * 7**40)) for i in range(1, 31)], {"id": "uuid", "upper": False}),
        ([f"{chr(97 + i % 26)}{i * 37}{chr(65 + i % 7)}" for i in range(30, 60)], {"id": "shape"}),
    ],
)
def test_identifiers(tmp_path: Path, values: list[str], form: dict[str, object]) -> None:
    described = read(tmp_path, column(values)).schema["x"]
    assert described.kind == "identifier"
    assert form.items() <= described.format.items()


def test_numbers_that_are_no_identifiers(tmp_path: Path) -> None:
    assert kinds(read(tmp_path, column([str(i) for i in range(1990, 2021)])))["x"] == "integer"
    assert kinds(read(tmp_path, column([str(i * 3) for i in range(30)])))["x"] == "integer"
    text = column([str(i * 3) for i in range(30)], "customer_id")
    assert kinds(read(tmp_path, text))["customer_id"] == "identifier"
    assert kinds(read(tmp_path, column([f"{i}.0" for i in range(30)], "id")))["id"] == "number"


def test_free_text_is_refused_by_name(tmp_path: Path) -> None:
    text = column([f'"word {i} and {i * 7} more"' for i in range(120)], "review")
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert "column 'review' is free text: 120 different texts in 120 rows, such as 'word 0" in caught.value.message
    assert "--set data.as_category=[review]" in str(caught.value.hint)
    assert kinds(read(tmp_path, text, as_category=["review"]))["review"] == "category"
    assert kinds(read(tmp_path, text, drop=["review"])) == {"y": "number"}
    assert kinds(read(tmp_path, text, columns={"review": {"kind": "drop"}})) == {"y": "number"}
    assert kinds(read(tmp_path, text, columns={"review": {"kind": "identifier"}}))["review"] == "identifier"


def test_texts_that_repeat_are_categories(tmp_path: Path) -> None:
    assert kinds(read(tmp_path, column([f"city {i % 40} of the land" for i in range(300)])))["x"] == "category"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"drop": ["z"]}, "data.drop: .* has no column 'z'"),
        ({"as_category": ["yy"]}, r"data.as_category: .* has no column 'yy'"),
        ({"columns": {"X": {"kind": "number"}}}, "data.columns: .* has no column 'X'"),
        ({"target": "z"}, "data.target: .* has no column 'z'"),
        ({"drop": ["x", "y"]}, "no column is left"),
        ({"columns": {"x": {"kind": "number"}}}, "line 4, column 'x': 'b' is not a number"),
        ({"columns": {"x": {"kind": "datetime"}}}, "column 'x' holds no dates"),
        ({"columns": {"x": {"format": "%d.%m.%Y"}}}, "column 'x' holds '1' in line 2, which is no date of the format"),
        ({"columns": {"x": {"kind": "constant"}}}, "column 'x' is no constant: it holds '1' and '2'"),
        ({"columns": {"x": {"kind": "boolean"}}}, "line 3, column 'x': '2' is not true or false"),
    ],
)
def test_settings_that_do_not_fit(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(tmp_path, column(["1", "2", "b"]), **settings)


def test_kinds_can_be_forced(tmp_path: Path) -> None:
    assert read(tmp_path, column(["0", "1", "1"]), columns={"x": {"kind": "boolean"}}).frame["x"].tolist() == [
        False,
        True,
        True,
    ]
    assert kinds(read(tmp_path, column(["1", "2", "3"]), columns={"x": {"kind": "category"}}))["x"] == "category"
    assert read(tmp_path, column(["1", "2.5"]), columns={"x": {"kind": "number"}}).frame["x"].tolist() == [1.0, 2.5]
    forced = read(tmp_path, column(["20100102", "20100304"]), columns={"x": {"format": "%Y%m%d"}})
    assert forced.frame["x"].tolist() == [pd.Timestamp("2010-01-02"), pd.Timestamp("2010-03-04")]


def test_infinite_numbers_are_no_numbers(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 3, column 'x': 'inf' is not a number"):
        read(tmp_path, column(["1.5", "inf", "2.5"]), columns={"x": {"kind": "number"}})
    with pytest.raises(UsageError, match="line 3, column 'x': '1e999' is not a number"):
        read(tmp_path, column(["1.5", "1e999", "2.5"]))


def test_the_tables_of_the_literature(data_dir: Path) -> None:
    folder = data_dir / "tables"
    if not folder.is_dir():
        pytest.skip("no tables there")
    found = infer(read_text(folder / "beijing.csv", None, NullReporter(), never_stop), TableDataConfig())
    beijing = {one.name: one.kind for one in found.schema.columns}
    assert beijing.pop("No") == "identifier" and beijing.pop("cbwd") == "category"
    assert {name for name, kind in beijing.items() if kind == "number"} == {"pm2.5", "TEMP", "PRES", "Iws"}
    adult = read_table(folder / "adult_train.csv")
    assert adult.frame["workclass"].isna().sum() == 1836
    assert adult.schema["workclass"].format["missing"] == "?"
    assert len(read_table(folder / "california.csv", split="train")) == 13_209


def test_a_comma_behind_a_zero_is_a_decimal_sign() -> None:
    assert number_kind(["0,000", "0,841", "1,909"]) == "comma"
    assert number_kind(["1,000", "12,841"]) == "thousands"
