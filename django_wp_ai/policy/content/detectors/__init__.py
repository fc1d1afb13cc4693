"""Finders of personal data, one family a file. Each reads plain text (``plain_form``) and yields spans of it."""
