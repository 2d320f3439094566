"""Threads and what passes between them. No other package starts a thread."""
