"""Where what clients leave with the servers is kept: records in a database, files as bytes.

Both lie in the data folder, in SQLite and as plain files, unless ``--store-records`` and
``--store-files`` name what several machines see: PostgreSQL, and whatever fsspec reaches.
"""
