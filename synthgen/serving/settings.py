"""What a service may do, and how much of it at once."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from synthgen.errors import UsageError


@dataclass(frozen=True)
class ServeSettings:
    """Limits of a service.

    api_key: what clients must send as `Authorization: Bearer KEY` or `X-API-Key: KEY`; None: nobody is asked.
    queue: requests that may wait beside the one that is computed. max_count: samples of one request. timeout_seconds:
    from arrival to answer. max_body_bytes: of a request.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    api_key: str | None = None
    queue: int = 32
    max_count: int = 10_000
    timeout_seconds: float = 60.0
    max_body_bytes: int = 64 * 1024

    def check(self) -> None:
        """Raises UsageError for an address that strangers can reach without a key."""
        if not is_local(self.host) and not self.api_key:
            raise UsageError(
                f"{self.host} can be reached from other machines: whoever does may use this one's time",
                "set a key with --api-key-file FILE or in SYNTHGEN_API_KEY, or leave out --host",
            )
        if self.api_key is not None and len(self.api_key) < 16:
            raise UsageError("the API key has fewer than 16 characters", "make one: openssl rand -hex 32")


def is_local(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
