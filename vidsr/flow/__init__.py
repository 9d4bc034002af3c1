"""Optical flow and what is built on it."""
