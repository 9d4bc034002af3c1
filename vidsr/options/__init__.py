"""What the user asks for: the option table, parsing, the frozen `EnhanceOptions`, and the paths of a run."""
