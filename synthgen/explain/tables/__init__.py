"""Why a synthetic row came out as it did, how likely it is, what gives it away, and whom it resembles."""
