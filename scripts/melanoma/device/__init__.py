"""What a GPU does beside the network: it holds and warps images, and repeats a training step as one graph."""
