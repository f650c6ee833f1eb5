"""The image graph as verbs use it, and the names of both worlds."""
