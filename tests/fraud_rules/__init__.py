"""Tests of the fraud_rules library."""
