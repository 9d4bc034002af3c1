"""Speed of each step of a run, hardware limits, and other programs."""
