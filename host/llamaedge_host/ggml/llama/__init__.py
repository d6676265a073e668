"""Everything that calls llama.cpp: the library, model files, models, contexts, the thread."""
