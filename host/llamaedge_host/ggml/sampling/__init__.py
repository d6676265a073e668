"""How the next token is chosen, and what constrains it."""
