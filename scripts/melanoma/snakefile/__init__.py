"""Python code of the Snakefile: code digests, jobs, records, retries, the terminal."""
