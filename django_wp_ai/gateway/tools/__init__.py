"""The host's own tools: registered in Python, offered to a model, run on this side."""
