"""What the management commands share: typed arguments and how they report."""
