"""The split into test and folds, and the search for leaks."""
