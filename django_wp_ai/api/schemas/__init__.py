"""Bodies in: pydantic schemas, and their translation to plain requests."""
