"""Figures of a study for papers."""
