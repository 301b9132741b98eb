"""A check of the machine before a study: what is wrong with it, and the cure."""
