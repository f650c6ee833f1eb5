"""Transport: connections, where they may lead, and the bytes that come over them."""
