"""Images from file to the store."""
