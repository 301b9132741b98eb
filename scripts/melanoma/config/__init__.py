"""The configuration of a study: read, checked, filled in."""
