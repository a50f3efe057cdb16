"""What is said of a table before it is learned."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthgen.config.tables import TableDataConfig
from synthgen.data.tables.inspection import ColumnFacts, TableInspection, inspect_table
from synthgen.errors import UsageError
from tests.data.tables.tables import write


def text(rows: int = 200) -> str:
    lines = ["id,age,city,note,same,gone,when,level,split"]
    for i in range(rows):
        city = ["Paris", "Rome", ""][i % 3]
        when = f"{1960 + i % 60}-0{1 + i % 9}-11"
        part = "train" if i % 4 else "test"
        lines.append(f"{i + 1},{17 + i % 70}.5,{city},thing {i} was {i * 3} long,x,,{when},v{i % 60},{part}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def found(tmp_path: Path) -> TableInspection:
    return inspect_table(write(tmp_path / "a.csv", text()))


def facts(found: TableInspection) -> dict[str, ColumnFacts]:
    return {column.name: column for column in found.columns}


def test_columns_are_described(found: TableInspection) -> None:
    columns = facts(found)
    assert {name: column.kind for name, column in columns.items()} == {
        "id": "identifier",
        "age": "number",
        "city": "category",
        "note": "text",
        "same": "constant",
        "gone": "constant",
        "when": "datetime",
        "level": "category",
    }
    assert columns["age"].values == "17.5 to 86.5" and columns["age"].distinct == 70
    assert columns["city"].values == "Paris 50%, Rome 50%" and columns["city"].missing == pytest.approx(66 / 200)
    assert columns["id"].values == "1 to 200" and columns["id"].treatment == "made anew" and columns["id"].tokens == 0
    assert columns["same"].values == "x" and columns["gone"].values == "all missing"
    assert columns["when"].values == "1960-01-11 to 2019-09-11"
    assert columns["city"].tokens == 3
    assert columns["gone"].warnings == ("has no values at all",)
    assert columns["same"].warnings == ("has one value only, so there is nothing to learn",)
    assert columns["level"].warnings == ("is nearly free text: 60 different texts in 200 rows",)
    assert found.refused == ("note",) and "is free text" in columns["note"].refused
    assert found.splits == {"test": 50, "train": 150} and found.dropped == ("split",)
    assert found.rows == 200 and found.duplicates == 0


def test_settings_count(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", text())
    config = TableDataConfig.model_validate(
        {"drop": ["note"], "columns": {"level": {"kind": "identifier"}}, "bins": 10}
    )
    found = inspect_table(path, config)
    assert not found.refused and found.dropped == ("note", "split")
    assert facts(found)["level"].kind == "identifier" and facts(found)["age"].treatment == "10 tokens (10 bins)"


def test_duplicates_ignore_identifiers(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i % 5}.5,{'ab'[i % 2]}\n" for i in range(1, 41))
    found = inspect_table(write(tmp_path / "a.csv", "id,x,y\n" + rows))
    assert found.duplicates == 30


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 2: 1 cell"):
        inspect_table(write(tmp_path / "a.csv", "a,b\n1\n"))


def test_a_cell_of_several_lines_is_shown_in_one(tmp_path: Path) -> None:
    rows = "".join(f"{i}.5,{['plain', chr(34) + 'a' + chr(10) + 'b' + chr(34)][i % 2]}\n" for i in range(40))
    found = inspect_table(write(tmp_path / "a.csv", "x,y\n" + rows))
    assert facts(found)["y"].values == "plain 50%, a b 50%"


def test_what_spreadsheets_and_pandas_write_for_missing_is_missing(tmp_path: Path) -> None:
    for word in ("#N/A", "<NA>", "n/a"):
        rows = "".join(f"{word if i % 4 == 0 else i % 7},{i}.5\n" for i in range(40))
        column = facts(inspect_table(write(tmp_path / "a.csv", "x,y\n" + rows)))["x"]
        assert (column.kind, column.missing) == ("integer", 0.25)
