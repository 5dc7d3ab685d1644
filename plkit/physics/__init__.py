"""Equations, each written once: numpy, scipy and numba only; no labels, no units beyond the names."""
