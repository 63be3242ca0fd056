"""Postgres: batch statements behind group commit, reads on a thread pool, and the only commits there are."""
