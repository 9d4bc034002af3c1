"""Fuzzing of the command line: damaged inputs, hostile option values, kills at random moments.

Everything follows from a seed. ``scripts/fuzz`` runs the campaigns; tests/test_fuzz.py runs a few seeds of each.
"""
