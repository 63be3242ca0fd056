"""The load generator: processes that each keep many calls in flight over few connections, and cost little themselves.

`python -m bench.load` reads a job as JSON from standard input and prints what it measured as JSON.
"""
