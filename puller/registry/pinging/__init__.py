"""What a registry offers, and what is wrong with how it is set up: one question a module."""
