"""Where a training runs: its device, its processes, its end."""
