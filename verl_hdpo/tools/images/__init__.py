"""Precomputed image searches: what a search with each sample's image had found, looked up by the sample's key."""
