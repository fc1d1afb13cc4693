"""Long work: created with one call, run by workers that may die at any moment, ended once."""
