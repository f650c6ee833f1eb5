"""What a load is made of."""
