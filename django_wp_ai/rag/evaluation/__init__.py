"""How well a site's questions are met: by what is found, and by what is answered."""

from django_wp_ai.rag.evaluation.answers import Answered, AnswerFigures, answer_figures, answer_questions
from django_wp_ai.rag.evaluation.figures import Figures, figures
from django_wp_ai.rag.evaluation.questions import EvalQuestion, parse
from django_wp_ai.rag.evaluation.retrieval import Outcome, retrieve

__all__ = [
    "AnswerFigures",
    "Answered",
    "EvalQuestion",
    "Figures",
    "Outcome",
    "answer_figures",
    "answer_questions",
    "figures",
    "parse",
    "retrieve",
]
