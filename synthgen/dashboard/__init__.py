"""A page in the browser around one run: generate, watch, explain, compare, complete, follow the training."""
