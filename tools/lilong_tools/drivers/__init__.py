"""`lilong drivers`: what the node's drivers need and give, read from their source."""
