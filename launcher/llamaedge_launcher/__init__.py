"""The program: a front process that serves HTTP, and a worker process that runs the guests."""
