"""Test and folds, and the gate that looks for leaks."""
