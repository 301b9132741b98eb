"""Networks and metadata models."""
