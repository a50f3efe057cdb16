"""Tables: how far synthetic rows are from real ones, what they are worth, and whom they give away."""
