"""Speed: `vidsr bench` measures each step of a run, the hardware limits and other programs."""
