"""The workflow's library: one module per subject, importing downwards only."""
