"""Predictions of a bundle for photographs: the images, their table, the computation, and the answers."""
