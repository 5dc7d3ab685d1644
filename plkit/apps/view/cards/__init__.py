"""Cards below the figures of the Map tab, one module each."""
