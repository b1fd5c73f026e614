"""What stands outside of Ray Serve's ingress, in every process that listens for HTTP: Serve's proxy, or a replica."""

from starlette.middleware import Middleware

from serve.middleware.request_id import RequestIdMiddleware


def middlewares() -> list[Middleware]:
    """Called by Ray Serve, which finds it by `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`; the last is outermost."""
    return [Middleware(RequestIdMiddleware)]
