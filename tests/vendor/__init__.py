"""A stand-in for the two LLM vendors: the real wire of OpenAI and Anthropic, steered by directives in the user's text.

See ``directives`` for what a test can ask for and ``answers`` for how tokens are counted. ``running.vendor()`` starts
one for a test, ``python -m tests.vendor --port N`` starts one on its own.
"""
