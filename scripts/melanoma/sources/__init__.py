"""Sources: the layouts of tables and the image files that they name."""
