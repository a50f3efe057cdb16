"""The whole tool at small scale in a few minutes: all six verbs on the embedded digits, ending in one report."""
