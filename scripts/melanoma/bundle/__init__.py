"""Bundles: a model or a fusion in one folder, with all that a prediction needs, checked when it is read."""
