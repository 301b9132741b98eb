"""The device and the processes of a training, and its end before time."""
