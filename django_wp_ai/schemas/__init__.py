"""Bodies that edges and jobs both take: pydantic over the plain data of flows."""
