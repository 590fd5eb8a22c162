"""Functions that run inside worker processes: JSON in, JSON out."""
