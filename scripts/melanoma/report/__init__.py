"""The report of a study: one page, and its tables."""
