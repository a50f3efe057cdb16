"""CSV, TSV and their kin, plain or gzipped: parsed strictly, with every fault named by its line and column."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast

import numpy as np

from synthgen.data.arrays import check_claim
from synthgen.data.tables.dialect import find_separator, find_style
from synthgen.data.tables.raw import RawTable, TextColumn
from synthgen.errors import StoppedError, UsageError
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop

MAX_COLUMNS = 20_000
MAX_ROWS = 200_000_000
MAX_LINE = 2**24
"""Characters of one line: a thousand columns of long texts stay far below."""
_CHUNK_CELLS = 500_000
_SAMPLE = 2**18
_FEW = 10_000
_WORTH_A_LINE = 2**24

_Parts = list[list[tuple[np.ndarray, np.ndarray]]]


def read_text(path: Path, separator: str | None, reporter: Reporter, should_stop: ShouldStop) -> RawTable:
    """All cells as texts. separator: one character; None: found out.

    Raises UsageError naming line and column of what cannot be read (another encoding, a row of another length, quotes
    that never close, two columns of one name, no rows); StoppedError.
    """
    with _open(path) as stream:
        sample = stream.read(_SAMPLE)
    if not sample.strip():
        raise UsageError(f"{path} is empty", "A table begins with a line of column names.")
    chosen = find_separator(path, sample, separator)
    style, quoted = find_style(sample, chosen)
    with _open(path) as stream:
        records = _records(path, stream, chosen)
        line, header = next(records)
        names = column_names(f"{path}, line {line}", header)
        parts, lines = _read_rows(path, names, records, reporter, should_stop)
    if not lines:
        raise UsageError(f"{path} has no rows below its line of column names")
    style |= _ends(path) | ({} if list(names) == header else {"header": header})
    columns = tuple(
        TextColumn(
            name,
            *_join(parts[place]),
            quoted=place in quoted,
            extra={"bare_missing": True} if quoted.get(place) else {},
        )
        for place, name in enumerate(names)
    )
    return RawTable(str(path), columns, len(lines), style, np.frombuffer(lines, np.int64))


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    """The text of a file. Raises UsageError for what is no UTF-8, no gzip or not there."""
    packed = path.name.lower().endswith(".gz")
    try:
        with cast("io.BufferedReader", gzip.open(path, "rb") if packed else path.open("rb")) as raw:
            yield io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
    except UnicodeDecodeError as error:
        raise _not_utf8(path, packed) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{path} is not a readable gzip file: {error}", "Is the download complete?") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error


def _not_utf8(path: Path, packed: bool) -> UsageError:
    """The first byte that is no UTF-8, by its line and place."""
    with gzip.open(path, "rb") if packed else path.open("rb") as raw:
        start = raw.read(4)
        raw.seek(0)
        if start.startswith((b"\xff\xfe", b"\xfe\xff")):
            return UsageError(
                f"{path} is written in UTF-16, not UTF-8", "Convert it: iconv -f UTF-16 -t UTF-8 OLD.csv > NEW.csv"
            )
        offset, number = 0, 0
        while line := raw.readline(MAX_LINE):
            number += 1
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return UsageError(
                    f"{path}, line {number:,}: byte {offset + error.start:,} is 0x{line[error.start]:02x}, "
                    "which is not UTF-8",
                    "If it came from Excel or an old system: iconv -f WINDOWS-1252 -t UTF-8 OLD.csv > NEW.csv",
                )
            offset += len(line)
    return UsageError(f"{path} is not a text in UTF-8")


def _lines(path: Path, stream: TextIO) -> Iterator[str]:
    """Lines of bounded length, from a file that does not unpack without end. Raises UsageError."""
    stored, read, number, checked = path.stat().st_size, 0, 0, 2**24
    while line := stream.readline(MAX_LINE):
        number += 1
        read += len(line)
        if len(line) == MAX_LINE and not line.endswith(("\n", "\r")):
            raise UsageError(f"{path}, line {number:,} has more than {MAX_LINE:,} characters: this is not a table")
        if "\0" in line:
            raise UsageError(f"{path}, line {number:,} holds bytes of value 0: this is not a text file")
        if read > checked:
            check_claim(str(path), read, stored)
            checked = read + 2**24
        yield line


def _records(path: Path, stream: TextIO, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(line on which it begins, cells) of each record that is not a blank line. Raises UsageError."""
    reader = csv.reader(_lines(path, stream), delimiter=separator, strict=True)
    begin = 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise _fault(path, begin, str(error)) from error
        if row is None:
            return
        if row:
            yield begin, row
        begin = reader.line_num + 1


def _fault(path: Path, line: int, reason: str) -> UsageError:
    if "field larger" in reason or "unexpected end of data" in reason:
        return UsageError(f'{path}, line {line:,}: a quote (") is opened there and not closed')
    return UsageError(f"{path}, line {line:,}: {reason}", 'A quote inside a quoted cell is written twice: "".')


def column_names(where: str, header: list[str]) -> tuple[str, ...]:
    """The names of columns: blanks around them cut off, the unnamed numbered. Raises UsageError for two of one name."""
    if len(header) > MAX_COLUMNS:
        raise UsageError(f"{where}: {len(header):,} columns are more than the limit of {MAX_COLUMNS:,}")
    stripped = [text.strip() for text in header]
    first: dict[str, int] = {}
    for place, name in enumerate(stripped, 1):
        if name and name in first:
            raise UsageError(
                f"{where}: the columns {first[name]} and {place} are both called '{name}'", "Rename one of them."
            )
        first[name] = place
    taken = set(stripped)
    names = []
    for place, name in enumerate(stripped, 1):
        while not name or (name in taken and not stripped[place - 1]):
            name = f"{name}_" if name else f"unnamed_{place}"
        names.append(name)
    return tuple(names)


def _read_rows(
    path: Path,
    names: tuple[str, ...],
    records: Iterator[tuple[int, list[str]]],
    reporter: Reporter,
    should_stop: ShouldStop,
) -> tuple[_Parts, array[int]]:
    """Per column its chunks of (codes, distinct texts), and the line of every row."""
    parts: _Parts = [[] for _ in names]
    lines = array("q")
    size = max(1, _CHUNK_CELLS // len(names))
    chunk: list[list[str]] = []
    shown = reporter if path.stat().st_size >= _WORTH_A_LINE else NullReporter()
    with shown.progress(f"reading {path.name}", None, "rows") as progress:
        for line, row in records:
            if len(row) != len(names):
                raise _ragged(path, line, row, names)
            chunk.append(row)
            lines.append(line)
            if len(lines) > MAX_ROWS:
                raise UsageError(f"{path} has more than {MAX_ROWS:,} rows", "Cut it into several files.")
            if len(chunk) == size:
                _add(parts, chunk)
                chunk = []
                progress.update(len(lines))
                if should_stop():
                    raise StoppedError(f"stopped while reading {path}")
        if chunk:
            _add(parts, chunk)
            progress.update(len(lines))
    return parts, lines


def _ragged(path: Path, line: int, row: list[str], names: tuple[str, ...]) -> UsageError:
    cells = f"{len(row):,} cell{'s' if len(row) > 1 else ''}"
    where = f"{path}, line {line:,}: {cells} where the first line names {len(names):,} columns"
    if len(row) < len(names):
        return UsageError(f"{where}: nothing for '{names[len(row)]}'", "Every row needs a cell for every column.")
    return UsageError(
        f"{where}: after '{names[-1]}' comes '{row[len(names)][:40]}'",
        'A cell that holds the separator must stand in quotes: "a, b".',
    )


def _add(parts: _Parts, chunk: list[list[str]]) -> None:
    """Append a chunk of rows, each column's distinct texts packed as numpy strings: 16 bytes and no object each."""
    import pandas as pd

    for place, cells in enumerate(zip(*chunk, strict=True)):
        codes, texts = pd.factorize(np.array(cells, dtype=object))
        parts[place].append((codes.astype(np.int32), texts.astype(np.dtypes.StringDType())))


def _join(chunks: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """(codes, distinct texts) of a whole column; empties `chunks`, whose memory is needed."""
    import pandas as pd

    if len(chunks) == 1:
        return chunks[0][0], _packed(chunks.pop()[1])
    merged, texts = pd.factorize(np.concatenate([texts for _, texts in chunks]).astype(object))
    ends = np.cumsum([0] + [len(texts) for _, texts in chunks])
    codes = [merged[ends[i] : ends[i + 1]][part] for i, (part, _) in enumerate(chunks)]
    chunks.clear()
    return np.concatenate(codes).astype(np.int32), _packed(texts)


def _packed(texts: np.ndarray) -> np.ndarray:
    """Few texts as objects, many as numpy's strings, whose elements are the same and take a quarter of the memory."""
    return texts.astype(object if len(texts) <= _FEW else np.dtypes.StringDType())


def _ends(path: Path) -> dict[str, bool]:
    """How the file begins and ends: a byte order mark, no newline after the last row."""
    if path.name.lower().endswith(".gz"):
        return {}
    with path.open("rb") as raw:
        mark = raw.read(3) == b"\xef\xbb\xbf"
        raw.seek(-1, io.SEEK_END)
        last = raw.read(1)
    return ({"mark": True} if mark else {}) | ({} if last in b"\r\n" else {"open_end": True})
