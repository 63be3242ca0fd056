"""What a payment is and what may happen to it: pure Python without I/O, imported by every layer above."""
