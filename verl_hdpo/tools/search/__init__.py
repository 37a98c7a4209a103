"""Text search: providers behind one interface, with a cache, retries and a rate limit around them."""
