"""Quotas: how much a registry lets us have, and one place in the queue for all processes of this user."""
