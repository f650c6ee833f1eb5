"""What is shown to other programs over HTTP: numbers, and whether all is well."""
