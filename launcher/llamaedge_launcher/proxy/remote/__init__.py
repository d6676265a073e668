"""Pictures that requests name by URL: which hosts may be asked, the fetching, and the request."""
