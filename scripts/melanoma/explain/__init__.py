"""Explanations: where in an image a network sees melanoma, and which columns a metadata model needs."""
