"""Downloads: files from the web, and the zips among them."""
