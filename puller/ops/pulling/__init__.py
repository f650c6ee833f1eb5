"""What one pull is made of."""
