"""The catalog of all sources, downloads, and the simulated study of the demo."""
