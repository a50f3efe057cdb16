"""Why an image came out as it did: maps that say how they were checked, its way out of noise, whom it resembles."""
