"""The HTTP service: one process, one model, one queue. Needs the extra `serve`."""
