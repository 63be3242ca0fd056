"""The one-command local stack on real parts: Postgres, Envoy, servers, a worker and the processors' stand-ins."""
