"""Make any Django site the AI backend for WordPress sites."""

__version__ = "0.1.0"
