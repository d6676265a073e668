"""Variables of the environment that have secrets, which no process but the front is to see."""

API_KEY = "API_KEY"
"""The key that the server asks for."""
KEY_PASSWORD = "LLAMAEDGE_SSL_KEY_PASSWORD"
"""The password of the key of its certificate."""
STORES = ("LLAMAEDGE_STORE_FILES", "LLAMAEDGE_STORE_RECORDS")
"""URLs of stores."""
SECRETS = frozenset({API_KEY, KEY_PASSWORD, *STORES})
