"""Evaluation on the test images."""
