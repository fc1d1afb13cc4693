"""Answers from a site's own content, with citations that were checked."""

from django_wp_ai.rag.answer.ask import ask
from django_wp_ai.rag.answer.question import Answer, Citation, Question, Source
from django_wp_ai.rag.answer.stream import AnswerStream, open_answer

__all__ = ["Answer", "AnswerStream", "Citation", "Question", "Source", "ask", "open_answer"]
