"""Sign-in with an API key, and sign-out."""

from starlette.responses import RedirectResponse, Response

from configs.errors import RequestError
from serving.handlers.context import ServiceContext
from serving.pages.page import COOKIE, SIGN_IN_STATUS, PageRequest, page, set_session
from serving.schemas.page_queries import SignInQuery
from serving.security.audit_log import append_audit_event
from serving.security.peer import asking_address
from serving.security.sessions import SESSION_HOURS


@page("GET", "/sign-in", scope=None)
async def get_sign_in(request: PageRequest, query: SignInQuery) -> Response:
    """The form."""
    if not request.services.authorizer.key_cache.keys():
        return RedirectResponse(own_path(query.next), SIGN_IN_STATUS)
    return _form(request, query.next)


@page("POST", "/sign-in", scope=None)
async def post_sign_in(request: PageRequest, form: dict[str, str]) -> Response:
    """Open a session of the key, or show the form with the reason why not. The audit says who signed in, and where."""
    address = asking_address(request.http.scope)
    target = own_path(form.get("next", "/"))
    try:
        permission = request.services.authorizer.sign_in(form.get("key", "").strip(), "/sign-in", address)
    except RequestError as error:
        return _form(request, target, f"{error.message} {error.hint}", status=error.status)
    context = request.services.context
    await request.run(1, _record_sign_in, context, permission.key_id, address)
    response = RedirectResponse(target, SIGN_IN_STATUS)
    # A new session: whoever set the cookie before does not know this one.
    set_session(request.http, response, request.services.signer.open(permission.key_id), request.services.signer)
    return response


def _record_sign_in(context: ServiceContext, key_id: str, address: str) -> None:
    append_audit_event(
        context.feedback.ledger.engine, context.clock(), key_id, "signed_in", subject=key_id, address=address
    )


@page("POST", "/sign-out", scope=None)
async def post_sign_out(_: PageRequest, form: dict[str, str]) -> Response:
    """End the session on this device."""
    del form
    response = RedirectResponse("/sign-in", SIGN_IN_STATUS)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


def own_path(target: str) -> str:
    """The path to continue at, if it is one of this site; otherwise the portfolio.

    >>> own_path("/accounts/7?since=2026-06-01"), own_path("//evil.example"), own_path("https://evil.example")
    ('/accounts/7?since=2026-06-01', '/', '/')
    """
    is_own = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if is_own else "/"


def _form(request: PageRequest, target: str, error: str = "", status: int = 200) -> Response:
    values = {"next": own_path(target), "error": error, "hours": SESSION_HOURS}
    return request.render("sign_in.html.jinja", values, status)
