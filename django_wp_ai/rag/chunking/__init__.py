"""Cuts a Markdown text into the passages that are embedded and searched."""

from django_wp_ai.rag.chunking.cutting import cut
from django_wp_ai.rag.chunking.pieces import Piece

__all__ = ["Piece", "cut"]
