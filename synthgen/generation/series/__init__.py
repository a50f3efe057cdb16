"""Sequences from a model of series: any number, of any length, with any cells known, in files of any of its forms."""
