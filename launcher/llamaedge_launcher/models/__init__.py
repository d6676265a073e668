"""Models: their files, and how they come here."""
