"""/v1/vector_stores: OpenAI's endpoints of vector stores, their files and search."""
