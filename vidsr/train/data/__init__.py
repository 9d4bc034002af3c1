"""Training patches from shards."""
