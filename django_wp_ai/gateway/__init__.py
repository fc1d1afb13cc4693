"""The main street: admit, route, stream, record. One file a step; plain data in and out."""
