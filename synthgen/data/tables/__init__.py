"""Tables: reading them, knowing their columns, turning rows into tokens and back, writing them as they came."""

from synthgen.data.tables.sources import is_table

__all__ = ["is_table"]
