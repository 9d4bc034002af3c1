"""Architectures: one file each, with the network and its frozen Config."""
