"""Long clips in segments: cut, run, assemble. A run that ends early continues with the next segment."""
