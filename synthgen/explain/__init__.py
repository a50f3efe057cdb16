"""Why a sample came out as it did: its denoising trajectory, and maps that say how they were checked."""
