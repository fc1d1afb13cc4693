"""Routes, one file a family."""
