"""Image files, their preparation, and the image store."""
