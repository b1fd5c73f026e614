"""The HTTP API: FastAPI application, authentication, routes and the command line."""
