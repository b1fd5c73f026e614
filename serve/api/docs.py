"""The OpenAPI document, and a page that shows it without any script."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from serve.auth.access import public
from serve.docs_page import DOCS_CSP, render
from serve.route import GuardedRoute

router = APIRouter(route_class=GuardedRoute, include_in_schema=False)


@router.get("/openapi.json")
@public()
async def openapi_document(request: Request) -> Response:
    """OpenAPI 3.1."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
@public()
async def docs(request: Request) -> Response:
    """The document as a page."""
    return HTMLResponse(render(request.app.openapi()), headers={"Content-Security-Policy": DOCS_CSP})
