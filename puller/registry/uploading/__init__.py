"""Uploading: one blob or document on its way there."""
