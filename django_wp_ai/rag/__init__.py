"""A site's own content: read, cut, embedded, searched, and answered from."""
