"""From options to a verified output: plan, run, verify."""
