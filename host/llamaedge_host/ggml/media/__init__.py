"""Pictures and speech: what is neither text nor tokens."""
