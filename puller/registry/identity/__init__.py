"""Identity: who we are to a registry, and to whom that is told."""
