"""One repository at several hosts: whom to ask, whom to pass over, and going on at another."""
