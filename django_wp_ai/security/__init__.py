"""Who calls, and what is kept secret: signatures, tokens, keys, nonces, secrets at rest."""
