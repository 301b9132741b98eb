"""Compares two finished studies: the same test images, the same options, and what differs."""
