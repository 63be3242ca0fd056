"""The seeded fault simulator: many merchants and customers on the real processes, with everything going wrong."""
