"""How processors are spoken to: the contract that use cases know, and one adapter a package."""
