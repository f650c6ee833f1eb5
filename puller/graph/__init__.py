"""The image graph of Docker 1.8 and 1.9 on disk, as LEGACY.md d tells: images under their old IDs, and their names."""
