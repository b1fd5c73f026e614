"""What stands outside of Ray Serve's ingress, in every process that listens for HTTP: Serve's proxy, or a replica."""

import sys

from starlette.middleware import Middleware

from serve.middleware.request_id import RequestIdMiddleware


def middlewares() -> list[Middleware]:
    """Called by Ray Serve, which finds it by `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`; the last is outermost.

    In a replica it is also the only place where we come before the servers that Ray Serve starts.
    """
    if "ray" in sys.modules:
        from serve.ray_replica import keep_grpc_private  # noqa: PLC0415 - only where Ray is

        keep_grpc_private()
    return [Middleware(RequestIdMiddleware)]
