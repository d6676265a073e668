"""The public HTTP server in front of the guests."""
