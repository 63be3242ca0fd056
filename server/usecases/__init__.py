"""What Kassa does, one verb a file; called by `rpc` and `jobs`, never by each other's callers."""
