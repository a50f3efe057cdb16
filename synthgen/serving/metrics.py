"""What the service counts, for GET /metrics."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counters in a registry of their own, so that two services in one process do not meet.

    held: says how many requests wait or are computed.
    """

    def __init__(self, held: Callable[[], int], paths: tuple[str, ...]) -> None:
        self.registry, self.paths = CollectorRegistry(), paths
        self._requests = Counter("synthgen_requests", "Requests answered.", ["path", "status"], registry=self.registry)
        self._seconds = Histogram(
            "synthgen_request_seconds", "Time to answer.", ["path"], buckets=_SECONDS, registry=self.registry
        )
        self._samples = Counter("synthgen_samples", "Samples handed out.", registry=self.registry)
        gauge = Gauge("synthgen_queue", "Requests that wait or are computed.", registry=self.registry)
        gauge.set_function(held)

    def answered(self, path: str, status: int, seconds: float) -> None:
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def made(self, samples: int) -> None:
        self._samples.inc(samples)

    def text(self) -> bytes:
        """All of them, in the text format of Prometheus."""
        return generate_latest(self.registry)
