"""The demo: its page, its sample content and its launcher."""
