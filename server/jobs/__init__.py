"""Background work on the procrastinate engine, in the worker process: sweeps that finish what was left lying."""
