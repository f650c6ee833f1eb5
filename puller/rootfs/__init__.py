"""Unpacked layers: what a verified layer says, done to a directory and nowhere else."""
