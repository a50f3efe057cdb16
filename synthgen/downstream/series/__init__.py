"""Classifiers of series, trained on real and synthetic ones."""
