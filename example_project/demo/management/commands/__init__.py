"""``demo`` and the step it runs in a process of its own."""
