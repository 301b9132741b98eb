"""The check of a study's data before anything is prepared, and the proposal of a source for a folder and a table."""
