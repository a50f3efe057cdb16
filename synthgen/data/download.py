"""Fetches the files of a known set: mirrors in turn, retries, resume, checksums, whole files or none."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from synthgen.data.locations import DATA_VARIABLE, cache_root
from synthgen.data.locks import exclusive
from synthgen.data.registry import KnownSet, RemoteFile
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.outputs import sync_folder
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

MIRROR_VARIABLE = "SYNTHGEN_MIRROR"
"""A base address to use instead of the public mirrors: files are taken from `$SYNTHGEN_MIRROR/<set>/<file>`."""

_ATTEMPTS = 4
_TIMEOUT_SECONDS = 30.0
_LONGEST_WAIT_SECONDS = 60.0
_BLOCK = 1 << 18
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)


class _TryAgainError(Exception):
    """This attempt failed in a way that may pass. after: seconds that the server asked to wait, if it did."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class _MirrorError(Exception):
    """This mirror will not do."""


@dataclass(frozen=True)
class _Context:
    reporter: Reporter
    should_stop: ShouldStop
    wait: Callable[[float], None]


def fetch_known(
    known: KnownSet,
    *,
    mirrors: tuple[str, ...] | None = None,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
    wait: Callable[[float], None] = time.sleep,
) -> Path:
    """Download what is missing of `known` into the user's cache; returns its folder.

    Args:
        mirrors: base addresses instead of the set's own; `SYNTHGEN_MIRROR` otherwise overrides them.
        wait: called with the seconds to wait between attempts.
    Raises: SynthgenError naming every mirror's failure and where to put the files by hand; StoppedError.
    """
    folder = cache_root() / "data" / known.folders[0]
    context = _Context(reporter or NullReporter(), should_stop, wait)
    bases = _bases(known, mirrors)
    try:
        with exclusive(folder.with_name(f".{folder.name}.lock"), f"downloading {known.name}", context.reporter):
            folder.mkdir(parents=True, exist_ok=True)
            for file in known.files:
                if not (folder / file.name).is_file():
                    _fetch_file(known, file, folder, bases, context)
    except OSError as error:
        raise SynthgenError(
            f"cannot write {known.name} to {folder}: {error.strerror or error}",
            "Free some space or set SYNTHGEN_CACHE_DIR to a folder that can be written.",
        ) from error
    return folder


def by_hand(known: KnownSet) -> str:
    """Where to put the files of a set that cannot be downloaded."""
    folder = cache_root() / "data" / known.folders[0]
    names = ", ".join(file.name for file in known.files) or known.by_hand
    return f"Put {names} into {folder}, or set {DATA_VARIABLE} to the folder that holds {known.folders[0]}/."


def _bases(known: KnownSet, mirrors: tuple[str, ...] | None) -> tuple[str, ...]:
    override = os.environ.get(MIRROR_VARIABLE)
    bases = mirrors or ((f"{override.rstrip('/')}/{known.name}",) if override else known.mirrors)
    for base in bases:
        if urlsplit(base).scheme not in ("http", "https"):
            raise UsageError(f"the mirror '{base}' is not an http or https address")
    return tuple(base.rstrip("/") for base in bases)


def _fetch_file(known: KnownSet, file: RemoteFile, folder: Path, bases: tuple[str, ...], context: _Context) -> None:
    failures = []
    for base in bases:
        try:
            _fetch_from(f"{base}/{file.name}", file, folder, context)
        except _MirrorError as error:  # noqa: PERF203 - each mirror is tried in turn
            failures.append(f"{base}/{file.name}: {error}")
        else:
            return
    listed = "".join(f"\n  {failure}" for failure in failures)
    raise SynthgenError(
        f"cannot download {known.name}:{listed}", f"{by_hand(known)} The embedded mnist-mini needs no download."
    )


def _fetch_from(url: str, file: RemoteFile, folder: Path, context: _Context) -> None:
    """All attempts at one address. The part on disk is this address's own: mirrors compress differently."""
    target = folder / file.name
    part = folder / f".{file.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part"
    for attempt in range(_ATTEMPTS):
        if context.should_stop():
            raise StoppedError(f"stopped while downloading {file.name}", "Run it again: it goes on where it stopped.")
        try:
            _receive(url, part, file, context)
            fault = verify(part, file)
            if fault:
                part.unlink()  # nothing of it can be trusted, so nothing of it is resumed
                raise _TryAgainError(fault)
        except _TryAgainError as error:
            if attempt == _ATTEMPTS - 1:
                raise _MirrorError(f"{error} (tried {_ATTEMPTS} times)") from error
            pause = min(_LONGEST_WAIT_SECONDS, error.after if error.after is not None else 2.0**attempt)
            context.reporter.info(f"{file.name}: {error}; trying again in {pause:.0f} s.")
            context.wait(pause)
        else:
            os.replace(part, target)
            sync_folder(folder)
            for other in folder.glob(f".{file.name}.*.part"):  # what another mirror had sent before it failed
                other.unlink()
            return


def _receive(url: str, part: Path, file: RemoteFile, context: _Context) -> None:
    """Append to `part` until the server says that it is whole; raises _TryAgainError or _MirrorError."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "synthgen", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
            start, total = _span(response, part, have)
            with part.open("r+b" if start else "wb") as out:
                out.seek(start)
                out.truncate()
                _copy(response, out.write, file, start, total, context)
                out.flush()
                os.fsync(out.fileno())
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is as long as the file, or longer: verify tells which
            return
        _refuse(error)
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error
        raise _TryAgainError(str(reason) or type(error).__name__) from error


def _refuse(error: urllib.error.HTTPError) -> None:
    text = f"the server answered {error.code} {error.reason}"
    if error.code not in _TEMPORARY:
        raise _MirrorError(text) from error
    after = error.headers.get("Retry-After", "")
    raise _TryAgainError(text, float(after) if after.isdigit() else None) from error


def _span(response: http.client.HTTPResponse, part: Path, have: int) -> tuple[int, int | None]:
    """(first byte sent, bytes of the whole file or None): a server may ignore the wish for a range."""
    length = response.headers.get("Content-Length", "")
    if response.status == 206:
        unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
        first = rest.partition("-")[0]
        if unit == "bytes" and first.isdigit() and int(first) == have:
            return have, have + int(length) if length.isdigit() else None
        part.unlink(missing_ok=True)
        raise _TryAgainError(f"the server sent another range than asked: {response.headers.get('Content-Range')}")
    return 0, int(length) if length.isdigit() else None


def _copy(
    response: http.client.HTTPResponse,
    write: Callable[[bytes], object],
    file: RemoteFile,
    start: int,
    total: int | None,
    context: _Context,
) -> None:
    done = start
    with context.reporter.progress(f"downloading {file.name}", total and total / 1000, "kB") as progress:
        progress.update(done / 1000)
        while block := response.read(_BLOCK):
            write(block)
            done += len(block)
            progress.update(done / 1000)
            if done > file.most_bytes:
                raise _MirrorError(f"the server sends more than the {file.most_bytes:,} bytes of the file")
            if context.should_stop():
                raise StoppedError(
                    f"stopped while downloading {file.name}", "Run it again: it goes on where it stopped."
                )
    if total is not None and done < total:
        raise _TryAgainError(f"the connection closed after {done:,} of {total:,} bytes")


def verify(path: Path, file: RemoteFile) -> str | None:
    """What is wrong with the content of `path`, or None when it is the file that it should be."""
    digest = hashlib.sha256()
    size = 0
    unpacker = zlib.decompressobj(wbits=31) if file.unpacked else None
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                # No more than the known size is ever unpacked, whatever the file says.
                content = unpacker.decompress(block, file.size + 1 - size) if unpacker else block
                digest.update(content)
                size += len(content)
                if size > file.size:
                    return f"wrong content: more than the {file.size:,} bytes expected"
    except zlib.error as error:
        return f"wrong content: {error}"
    if unpacker and (not unpacker.eof or unpacker.unused_data):
        return "wrong content: the compressed stream does not end where the file ends"
    if size != file.size or digest.hexdigest() != file.sha256:
        return f"wrong content: checksum mismatch, sha256 {digest.hexdigest()} where {file.sha256} is expected"
    return None


def missing_bytes(folder: Path, needed: int) -> int:
    """How many bytes the disk of `folder` (or of its nearest parent that exists) lacks; 0 when there is room."""
    while not folder.exists():
        folder = folder.parent
    return max(0, needed - shutil.disk_usage(folder).free)
