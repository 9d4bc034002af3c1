"""vidsr: exact, streaming, verifiable video enhancement."""

__version__ = "0.1.0"
