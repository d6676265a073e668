"""Markdown to HTML that a web page can show, whoever wrote it."""
