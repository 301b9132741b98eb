"""Commands, errors, files and random numbers, for all packages."""
