"""Stripe's wire protocol, with books of its own."""
