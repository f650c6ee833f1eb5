"""Layers into trees."""
