"""Quality: the protocol of the papers, `vidsr evaluate`, `vidsr compare` and the model cards."""
