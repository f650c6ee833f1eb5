"""Verbs: one module, one public coroutine."""
