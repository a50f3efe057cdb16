"""Rows from a model of a table: any number of them, with conditions, in files of any of its formats."""
