"""Small tables that come with the package: of test cards and of documentation's networks, nothing of the real world."""
