"""One reader for each sort of file; each imports its library when it is called for."""
