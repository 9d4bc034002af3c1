"""Convolutions whose weights are tied under the eight flips and rotations."""
