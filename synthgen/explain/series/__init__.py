"""Why a series came out as it did: evidence, attention, trajectory, shares, what gives it away, whom it resembles."""
