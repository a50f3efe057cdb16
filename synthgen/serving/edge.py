"""What every request passes before the service sees it: a number, a key, a limit on its body, a line in the log."""

from __future__ import annotations

import hmac
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from synthgen.serving.logs import log
from synthgen.serving.metrics import Metrics
from synthgen.serving.settings import ServeSettings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = ("/health", "/ready")
"""What answers without a key: a balancer has none."""

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class BodyTooLargeError(Exception):
    """More bytes than a request may have."""


class Edge:
    """The outermost layer, in plain ASGI: it must see requests that the framework would refuse."""

    def __init__(self, app: App, settings: ServeSettings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        number = given.decode() if _ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = number
        started, status = time.monotonic(), 500
        asked = scope
        if scope["method"] == "HEAD":  # RFC 9110, section 9.3.2: what GET would say, without its body
            scope = {**scope, "method": "GET"}

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.body" and scope is not asked:
                message = {**message, "body": b""}
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", number.encode())]
            await send(message)

        try:
            await self._guarded(scope, headers, receive, tell)
        finally:
            seconds = time.monotonic() - started
            path = scope["path"] if scope["path"] in self.metrics.paths else "other"
            self.metrics.answered(path, status, seconds)
            log(
                "request",
                id=number,
                method=asked["method"],
                path=scope["path"],
                status=status,
                seconds=round(seconds, 4),
            )

    async def _guarded(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        if scope["path"] not in OPEN and not self._allowed(headers):
            await _refuse(send, 401, "this service asks for a key: send it as `Authorization: Bearer KEY`")
            return
        limit = self.settings.max_body_bytes
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > limit:
            await _refuse(send, 413, f"a request may have {limit:,} bytes at most")
            return
        got, begun = 0, False

        async def counted() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > limit:  # without a Content-Length, or with a wrong one
                raise BodyTooLargeError
            return message

        async def watched(message: Message) -> None:
            nonlocal begun
            if got > limit and not begun:  # the framework makes an answer of its own of the error
                return
            begun = True
            await send(message)

        with suppress(BodyTooLargeError):
            await self.app(scope, counted, watched)
        if got > limit and not begun:
            await _refuse(send, 413, f"a request may have {limit:,} bytes at most")

    def _allowed(self, headers: dict[bytes, bytes]) -> bool:
        key = self.settings.api_key
        if key is None:
            return True
        scheme, _, bearer = headers.get(b"authorization", b"").partition(b" ")
        given = bearer.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
        return hmac.compare_digest(given, key.encode())


async def _refuse(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
