"""Restoration without training: what the networks are compared with, and how much there is to restore."""

from vidsr.classical.estimate import blur_sigma, noise_sigma, smear_sigma
from vidsr.classical.methods import Classical

__all__ = ["Classical", "blur_sigma", "noise_sigma", "smear_sigma"]
