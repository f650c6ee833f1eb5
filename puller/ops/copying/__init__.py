"""What a copy is made of."""
