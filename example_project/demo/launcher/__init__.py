"""Starts everything ``manage.py demo`` needs on a machine that has only Python, and stops it again."""
