"""The device and the processes of a training, what it reports, and its end before time."""
