"""What a sync is made of."""
