"""Downloads from a server on this machine that misbehaves in the ways that servers do."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from synthgen.data import download, load_images
from synthgen.data.download import fetch_known, verify
from synthgen.data.idx import encode_idx
from synthgen.data.registry import KNOWN_SETS, KnownSet, RemoteFile
from synthgen.errors import StoppedError, SynthgenError, UsageError

_ROWS = np.random.default_rng(0).integers(0, 256, (300, 28, 28), dtype=np.uint8)
CONTENT = {
    "train-images-idx3-ubyte.gz": encode_idx(_ROWS),
    "train-labels-idx1-ubyte.gz": encode_idx((np.arange(300) % 10).astype(np.uint8)),
    "t10k-images-idx3-ubyte.gz": encode_idx(_ROWS[:20]),
    "t10k-labels-idx1-ubyte.gz": encode_idx((np.arange(20) % 10).astype(np.uint8)),
}
BIG = "train-images-idx3-ubyte.gz"


class Server(ThreadingHTTPServer):
    """Serves `files` below any folder. faults: per request to come, by file name; requests: (path, Range) so far."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = {name: bytes(content) for name, content in CONTENT.items()}
        self.faults: dict[str, list[object]] = {}
        self.ranges = True
        self.lengths = True
        self.requests: list[tuple[str, str | None]] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/set"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        wish = self.headers.get("Range")
        self.server.requests.append((name, wish))
        fault = self.server.faults.get(name, [])
        fault = fault.pop(0) if fault else None
        content = self.server.files.get(name)
        if isinstance(fault, tuple) or content is None:
            code, headers = fault if isinstance(fault, tuple) else (404, {})
            self.send_response(code)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            return
        start = int(wish.removeprefix("bytes=").rstrip("-")) if wish and self.server.ranges else 0
        if wish and self.server.ranges and start >= len(content):
            self.send_response(416)
            self.end_headers()
            return
        self.send_response(206 if wish and self.server.ranges else 200)
        if wish and self.server.ranges:
            first = fault if isinstance(fault, str) else f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", first)
        if self.server.lengths:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = fault if isinstance(fault, int) else len(content)
        self.wfile.write(content[start:end])

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def known(server: Server, nowhere: Path) -> KnownSet:
    """A set like MNIST, of the files that the server has."""
    files = tuple(
        RemoteFile(name, hashlib.sha256(gzip.decompress(c)).hexdigest(), len(gzip.decompress(c)), unpacked=True)
        for name, c in CONTENT.items()
    )
    return replace(KNOWN_SETS["mnist"], name="toy", folders=("toy",), files=files, mirrors=(server.base,))


class Waits(list):
    """Stands in for time.sleep."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def whole(folder: Path) -> bool:
    """All four files are there as they should be, and nothing else is."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    return found == CONTENT


def test_a_fresh_download(server, known, recorder, nowhere):
    folder = fetch_known(known, reporter=recorder)
    assert folder == nowhere / "data" / "toy"
    assert whole(folder)
    assert recorder.updates[-1] == len(CONTENT["t10k-labels-idx1-ubyte.gz"]) / 1000
    assert known.find() == folder
    assert len(server.requests) == 4
    fetch_known(known)
    assert len(server.requests) == 4  # nothing is fetched twice


def test_a_connection_that_closes_is_resumed_where_it_closed(server, known):
    server.faults[BIG] = [1000, 5000]
    waits = Waits()
    assert whole(fetch_known(known, wait=waits))
    assert [wish for name, wish in server.requests if name == BIG] == [None, "bytes=1000-", "bytes=5000-"]
    assert waits == [1.0, 2.0]


def part_of(known: KnownSet, server: Server, nowhere: Path, content: bytes) -> Path:
    """What an earlier run has left of the big file."""
    mark = hashlib.sha256(f"{server.base}/{BIG}".encode()).hexdigest()[:8]
    path = nowhere / "data" / "toy" / f".{BIG}.{mark}.part"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_an_earlier_run_is_resumed(server, known, nowhere):
    part_of(known, server, nowhere, CONTENT[BIG][:777])
    assert whole(fetch_known(known))
    assert server.requests[0] == (BIG, "bytes=777-")


def test_a_server_that_ignores_ranges_starts_again(server, known, nowhere):
    server.ranges = False
    part_of(known, server, nowhere, CONTENT[BIG][:777])
    assert whole(fetch_known(known))


def test_a_server_without_lengths(server, known):
    server.lengths = False
    assert whole(fetch_known(known))


def test_a_part_that_is_complete_already(server, known, nowhere):
    part_of(known, server, nowhere, CONTENT[BIG])
    assert whole(fetch_known(known))


@pytest.mark.parametrize("content", [b"x" * 777, CONTENT[BIG] + b"more", b"x" * 10**6], ids=range(3))
def test_a_part_that_is_wrong_is_thrown_away(server, known, nowhere, content):
    part_of(known, server, nowhere, content)
    assert whole(fetch_known(known, wait=Waits()))


def test_a_range_that_was_not_asked_for_is_not_glued_on(server, known, nowhere):
    server.faults[BIG] = ["bytes 5-100/200"]
    part_of(known, server, nowhere, CONTENT[BIG][:777])
    assert whole(fetch_known(known, wait=Waits()))
    assert server.requests[1] == (BIG, None)


def test_a_busy_server_is_asked_again_after_the_time_that_it_names(server, known, recorder):
    server.faults[BIG] = [(503, {}), (429, {"Retry-After": "7"}), (503, {"Retry-After": "99999"})]
    waits = Waits()
    assert whole(fetch_known(known, wait=waits, reporter=recorder))
    assert waits == [1.0, 7.0, 60.0]
    assert "answered 503" in recorder.infos[0]


def test_altered_bytes_are_named_and_nothing_is_kept(server, known):
    altered = bytearray(gzip.decompress(CONTENT[BIG]))
    altered[5000] ^= 1
    server.files[BIG] = gzip.compress(bytes(altered))
    with pytest.raises(SynthgenError) as caught:
        fetch_known(known, wait=Waits())
    expected = known.files[0].sha256
    assert f"{server.base}/{BIG}: wrong content: checksum mismatch" in caught.value.message
    assert f"where {expected} is expected" in caught.value.message
    assert not list((download.cache_root() / "data" / "toy").iterdir())


@pytest.mark.parametrize(
    "content",
    [
        b"<html>Please log in</html>",
        gzip.compress(bytes(10**9 // 50)),
        CONTENT[BIG][:-4],
        CONTENT[BIG] + b"x",
        gzip.compress(gzip.decompress(CONTENT[BIG])[:-1]),
        b"",
    ],
    ids=range(6),
)
def test_other_content_is_never_taken(server, known, content):
    server.files[BIG] = content
    with pytest.raises(SynthgenError, match=r"wrong content|sends more"):
        fetch_known(known, wait=Waits())
    assert known.find() is None


def test_other_compression_of_the_same_content_is_taken(server, known):
    server.files[BIG] = gzip.compress(gzip.decompress(CONTENT[BIG]), compresslevel=1)
    folder = fetch_known(known)
    assert gzip.decompress((folder / BIG).read_bytes()) == gzip.decompress(CONTENT[BIG])


def test_a_missing_file_goes_to_the_next_mirror_at_once(server, known):
    waits = Waits()
    mirrors = (f"{server.base.replace('/set', '')}/nothing", server.base)
    server.faults[BIG] = [(404, {})]
    assert whole(fetch_known(known, mirrors=mirrors, wait=waits))
    assert waits == []


def test_when_nothing_works_every_mirror_is_named_and_where_to_put_the_files(server, known, nowhere):
    server.files.clear()
    mirrors = (server.base, "http://127.0.0.1:9/closed")
    with pytest.raises(SynthgenError) as caught:
        fetch_known(known, mirrors=mirrors, wait=Waits())
    assert f"{server.base}/{BIG}: the server answered 404" in caught.value.message
    assert "http://127.0.0.1:9/closed" in caught.value.message
    assert "(tried 4 times)" in caught.value.message
    assert all(name in caught.value.hint for name in (*CONTENT, str(nowhere / "data" / "toy"), "SYNTHGEN_DATA_DIR"))
    assert caught.value.exit_code == 1


def test_the_mirror_can_be_set_by_the_environment(server, known, monkeypatch):
    monkeypatch.setenv("SYNTHGEN_MIRROR", server.base + "/")
    assert whole(fetch_known(replace(known, mirrors=("http://127.0.0.1:9/closed",))))
    monkeypatch.setenv("SYNTHGEN_MIRROR", "file:///etc")
    with pytest.raises(UsageError, match="not an http or https address"):
        fetch_known(known)


def test_stopping_keeps_the_part_and_going_on_uses_it(server, known, nowhere):
    answers = iter([False, True])
    with pytest.raises(StoppedError):
        fetch_known(known, should_stop=lambda: next(answers))
    assert list((nowhere / "data" / "toy").glob(".*.part"))
    assert whole(fetch_known(known))


def test_a_cache_that_cannot_be_written_is_named(server, known, nowhere):
    nowhere.write_text("a file where the folder should be")
    with pytest.raises(SynthgenError, match="cannot write toy to") as caught:
        fetch_known(known)
    assert "SYNTHGEN_CACHE_DIR" in caught.value.hint


def test_load_images_downloads_what_is_nowhere(server, known, monkeypatch):
    monkeypatch.setitem(KNOWN_SETS, "toy", known)
    data = load_images("toy")
    np.testing.assert_array_equal(data.images[..., 0], _ROWS)
    assert (data.name, data.class_names) == ("toy", tuple("0123456789"))
    server.files.clear()
    assert len(load_images("toy", split="test")) == 20


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_checksums_are_those_of_the_real_files(name, data_dir):
    for file in KNOWN_SETS[name].files:
        path = data_dir / name / file.name
        if not path.is_file():
            pytest.skip(f"{path} is not there")
        assert verify(path, file) is None


@pytest.mark.parametrize(
    ("name", "md5"),
    [  # of the gunzipped files, as widely published
        ("train-images-idx3-ubyte.gz", "6bbc9ace898e44ae57da46a324031adb"),
        ("train-labels-idx1-ubyte.gz", "a25bea736e30d166cdddb491f175f624"),
        ("t10k-images-idx3-ubyte.gz", "2646ac647ad5339dbf082846283269ea"),
        ("t10k-labels-idx1-ubyte.gz", "27ae3e4e09519cfbb04c329615203637"),
    ],
)
def test_the_files_that_the_checksums_were_taken_from_are_the_published_ones(name, md5, data_dir):
    path = data_dir / "mnist" / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    assert hashlib.md5(gzip.decompress(path.read_bytes())).hexdigest() == md5
