"""Metadata: the keys that a guest may set, what each means, and how it is read."""
