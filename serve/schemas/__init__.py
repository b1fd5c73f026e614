"""The shapes of request and response bodies, one module per api module."""
