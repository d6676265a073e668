"""Vector stores: files in chunks, with a vector for each, and what of them is near a question."""
