"""A host's app with job kinds of its own, for tests that run whole clusters."""
