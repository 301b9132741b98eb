"""Sends finished studies to a tracker of experiments."""
