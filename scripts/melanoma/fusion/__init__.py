"""Fusions of models, and the selected model."""
