"""What text may pass: personal data hidden from a provider, denied terms, moderation, screening of untrusted text."""
