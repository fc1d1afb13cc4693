"""How kinds of jobs ask a model: fenced text from outside, and answers that are checked."""
