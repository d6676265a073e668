"""Files that clients leave with the server, on disk."""

ARCHIVES = "archives"
"""The folder of the files, in a data folder and for guests, which know it by this name."""
