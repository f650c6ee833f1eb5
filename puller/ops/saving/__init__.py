"""What archives are written from."""
