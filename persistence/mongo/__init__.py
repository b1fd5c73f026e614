"""Adapters for MongoDB. Nothing outside of this folder imports its driver."""
