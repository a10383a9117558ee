"""Error mitigation: folding, extrapolation to zero noise, and readout correction."""
