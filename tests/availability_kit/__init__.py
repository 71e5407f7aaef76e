"""A cloud's public APIs on loopback: real sockets, what they answer is a test's to say."""
