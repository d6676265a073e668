"""The models of a server: a worker each, and which request goes to which."""
