"""Fraud screening: gathers the facts of a payment and asks fraud_rules; nothing else of the server imports it."""
