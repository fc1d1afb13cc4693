"""What a real WordPress needs on this machine: its files, a database, and PHP's server."""
