"""Generated from protos/kassa/v1 by protos/generate.py; the server and the clients import these."""
