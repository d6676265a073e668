"""Other APIs: each module turns its requests into OpenAI's, and their answers and streams back.

So every guest speaks them, whatever its make.
"""
