"""Speed and memory, as ratios inside one run and CPU time rather than wall time."""
