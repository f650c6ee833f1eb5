"""Mirrors: what scheduled syncs bring where, by what people have written."""
