"""What a push is made of."""
