"""Series: how far synthetic windows are from real ones, what they are worth, and whether they are copies."""
