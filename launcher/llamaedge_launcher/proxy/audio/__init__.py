"""OpenAI's API of sound: texts that are read out, and recordings that are written down."""
