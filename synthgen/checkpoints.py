"""Checkpoints: one safetensors file that explains itself, hashed, written whole or not at all.

The header is one JSON document in the file's metadata. `sha256` in it covers the rest of the header and every tensor,
so that a flipped bit, which safetensors itself loads silently, is refused by name. The sampler card alone has a hash of
its own: it is measured later and changes no sample, and the file's sha256, which manifests name, stays what it was.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from synthgen.errors import SynthgenError, UsageError
from synthgen.outputs import atomic_write

FORMAT = "synthgen-checkpoint"
FORMAT_VERSION = 1
_METADATA_KEY = "synthgen"
CARD = "sampler_card"
_CARD_HASH = "sampler_card_sha256"
_HEADER_LIMIT = 16 * 2**20
"""Bytes of header that are parsed at most; a real one has a few thousand."""

Tensors = dict[str, torch.Tensor]
Header = dict[str, Any]


def save_checkpoint(path: Path, tensors: Tensors, header: Header) -> None:
    """Write tensors and header to `path` atomically. `header` must be JSON-serialisable and name its `kind`."""
    header = {"format": FORMAT, "format_version": FORMAT_VERSION, **header}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header.pop(_CARD_HASH, None)
    if header.get(CARD) is not None:
        header[_CARD_HASH] = _card_digest(header)
    header["sha256"] = _digest(tensors, header)
    atomic_write(path, save(tensors, metadata={_METADATA_KEY: json.dumps(header)}))


def put_card(path: Path, card: Header | None) -> None:
    """Write a sampler card into the header of the model at `path`, atomically; its sha256 stays the same.

    Raises as `load_checkpoint`; OSError when the file cannot be written.
    """
    header, tensors = load_checkpoint(path)
    if CARD not in header:
        raise SynthgenError(f"{path} has no place for a sampler card", "a newer synthgen's `train` leaves one")
    save_checkpoint(path, tensors, {**header, CARD: card})


def load_checkpoint(path: Path, *, kind: str = "model") -> tuple[Header, Tensors]:
    """Header and tensors of a checkpoint, verified by its sha256.

    Raises: SynthgenError when the file is missing, truncated, altered, not ours, or of another kind.
    """
    if not path.is_file():
        raise UsageError(f"there is no checkpoint at {path}")
    _check_length(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = _parse_header(path, file.metadata())
            if header.get("kind") != kind:
                raise SynthgenError(
                    f"{path} is a synthgen checkpoint of kind '{header.get('kind')}'; a '{kind}' is needed here"
                )
            # Cloned, because the file may be replaced while its mapping is still in use.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise SynthgenError(f"{path} is damaged or not a checkpoint: {error}", _DAMAGED_HINT) from error
    card_fits = header.get(CARD) is None or _card_digest(header) == header.get(_CARD_HASH)
    if _digest(tensors, header) != header.get("sha256") or not card_fits:
        raise SynthgenError(f"{path} is damaged: its contents do not match its sha256", _DAMAGED_HINT)
    return header, tensors


_DAMAGED_HINT = "use the checkpoint before it, by its path, or copy the file again"


def read_header(path: Path) -> Header:
    """The header alone, not verified against the tensors: fast, for listings."""
    _check_length(path)
    try:
        with safe_open(path, framework="pt") as file:
            return _parse_header(path, file.metadata())
    except (SafetensorError, OSError) as error:
        raise SynthgenError(f"{path} is damaged or not a checkpoint: {error}", _DAMAGED_HINT) from error


def _check_length(path: Path) -> None:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > _HEADER_LIMIT:
        raise SynthgenError(f"{path} is damaged or not a checkpoint: its header claims {length:,} bytes", _DAMAGED_HINT)


def _parse_header(path: Path, metadata: dict[str, str] | None) -> Header:
    text = (metadata or {}).get(_METADATA_KEY)
    if text is None:
        raise SynthgenError(
            f"{path} holds tensors but no synthgen header",
            "this looks like another program's weights; synthgen reads checkpoints made by `synthgen train`",
        )
    try:
        header = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise SynthgenError(f"{path} is damaged: its header is not JSON ({error})", _DAMAGED_HINT) from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise SynthgenError(f"{path} is not a synthgen checkpoint")
    version = header.get("format_version")
    if version != FORMAT_VERSION:
        raise SynthgenError(
            f"{path} has checkpoint format {version}; this synthgen reads format {FORMAT_VERSION}",
            "update synthgen",
        )
    return cast(Header, header)


def _card_digest(header: Header) -> str:
    return hashlib.sha256(json.dumps(header[CARD], sort_keys=True).encode()).hexdigest()


def _digest(tensors: Tensors, header: Header) -> str:
    """sha256 of the header without hashes and card, and of name, dtype, shape and bytes of each tensor by name."""
    digest = hashlib.sha256()
    plain = {key: value for key, value in header.items() if key not in ("sha256", _CARD_HASH)}
    if CARD in plain:
        plain[CARD] = None
    digest.update(json.dumps(plain, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
