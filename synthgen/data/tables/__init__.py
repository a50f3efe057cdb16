"""Tables: reading them, knowing their columns, turning rows into tokens and back, writing them as they came."""
