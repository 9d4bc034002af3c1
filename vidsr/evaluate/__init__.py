"""Quality: the papers' protocol and `vidsr compare`."""
