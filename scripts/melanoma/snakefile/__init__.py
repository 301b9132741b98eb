"""What the Snakefile uses beside its rules: code digests, records, retries, the terminal."""
