"""Routes declared as FastAPI's are, and described by it; read and answered here, in a quarter of the time.

FastAPI resolves dependencies anew for every request, and parses a body into Python objects before validating
them. Here everything that can be known is worked out when the route is declared, and a body is parsed and
validated in one pass, strictly, straight from its bytes. What would not fit is refused at declaration:
functions that are not async, dependencies with `yield` (they commit after the answer has gone out), forms,
cookies.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast, get_args

from fastapi import APIRouter, params
from fastapi._compat.shared import field_annotation_is_sequence
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_params_to_args
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.errors import FieldError, Invalid, UnsupportedMediaType
from shared.web.fields import Body
from shared.web.problems import from_validation

_JSON = "application/json"

Errors = list[dict[str, Any]]


class Router(APIRouter):
    """`Router(prefix="/v1/orders", tags=["orders"])`: what a feature's router.py declares its routes on."""

    def __init__(self, *, prefix: str = "", tags: list[str] | None = None) -> None:
        super().__init__(prefix=prefix, tags=[*tags] if tags else None, route_class=Route)


class Route(APIRoute):
    """A route, described under the name of its function."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        options["operation_id"] = options.get("operation_id") or endpoint.__name__
        super().__init__(path, endpoint, **options)
        self._call = _Call(self.dependant)
        self._body = _JsonBody(self.dependant) if self.dependant.body_params else None
        self._query = frozenset(self._call.query_names())
        self.app = self._serve

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = self._answer(await self._run(request))
        await response(scope, receive, send)

    async def _run(self, request: Request) -> Any:
        errors: Errors = []
        if request.scope["query_string"]:
            self._refuse_unknown_query(request)
        arguments = await self._call.arguments(request, errors)
        if self._body is not None:
            await self._body.read(request, arguments, errors)
        if errors:
            raise from_validation(errors)
        return await self.endpoint(**arguments)

    def _answer(self, result: Any) -> Response:
        if isinstance(result, Response):
            return result
        status = self.status_code or 200
        if self.response_field is None:
            if result is not None:
                raise TypeError(f"{self.operation_id} answers {type(result)}, which it does not declare")
            return Response(status_code=status)
        valid, errors = self.response_field.validate(result, loc=("response",))
        if errors:
            raise TypeError(f"{self.operation_id} answers what it does not declare: {errors}")
        return Response(self.response_field.serialize_json(valid), status, media_type=_JSON)

    def _refuse_unknown_query(self, request: Request) -> None:
        unknown = [name for name in request.query_params if name not in self._query]
        if unknown:
            known = ", ".join(sorted(self._query)) or "none"
            raise Invalid(
                f"This route has no such query parameter; it has: {known}.",
                errors=[FieldError(name, "extra_forbidden: no such query parameter") for name in unknown],
            )


class _Param(NamedTuple):
    name: str
    alias: str
    place: str
    required: bool
    default: Any
    field: Any

    @classmethod
    def of(cls, field: Any) -> "_Param":
        info = field.field_info
        alias = field.validation_alias or field.alias
        if isinstance(info, params.Header) and info.convert_underscores and alias == field.name:
            alias = alias.replace("_", "-")
        required = info.is_required()
        return cls(
            field.name, alias, info.in_.value, required, None if required else field.get_default(), field
        )

    def read(self, received: Mapping[str, Any], into: dict[str, Any], errors: Errors) -> None:
        raw = received.get(self.alias)
        if raw is not None:
            value, found = self.field.validate(raw, into, loc=(self.place, self.alias))
            into[self.name] = value
            errors.extend(found)
        elif self.required:
            errors.append({"type": "missing", "loc": (self.place, self.alias), "msg": "Field required"})
        else:
            into[self.name] = self.default


class _Call:
    """A function and where its arguments come from."""

    def __init__(self, dependant: Dependant) -> None:
        call = dependant.call
        assert call is not None
        _require_simple(dependant)
        self._function = call
        self._request_name = dependant.request_param_name or dependant.http_connection_param_name
        self._inner = [(inner.name, _Call(inner)) for inner in dependant.dependencies]
        self._path = [_Param.of(field) for field in dependant.path_params]
        self._headers = [_Param.of(field) for field in dependant.header_params]
        self._query = [_Param.of(field) for field in dependant.query_params if not _repeats(field)]
        self._repeated_query = [field for field in dependant.query_params if _repeats(field)]

    async def arguments(self, request: Request, errors: Errors) -> dict[str, Any]:
        """What to call the function with; what is wrong with the request goes to `errors`."""
        values = self._parameters(request, errors)
        for name, inner in self._inner:
            before = len(errors)
            if inner._inner:
                given = await inner.arguments(request, errors)
            else:
                given = inner._parameters(request, errors)
            if len(errors) == before:
                value = await inner._function(**given)
                if name is not None:
                    values[name] = value
        return values

    def _parameters(self, request: Request, errors: Errors) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for param in self._path:
            param.read(request.path_params, values, errors)
        for param in self._headers:
            param.read(request.headers, values, errors)
        for param in self._query:
            param.read(request.query_params, values, errors)
        if self._repeated_query:
            found, wrong = request_params_to_args(self._repeated_query, request.query_params)
            values.update(found)
            errors.extend(wrong)
        if self._request_name is not None:
            values[self._request_name] = request
        return values

    def query_names(self) -> set[str]:
        """The query parameters, with those of what it depends on."""
        own = {param.alias for param in self._query} | {field.alias for field in self._repeated_query}
        return own.union(*(inner.query_names() for _, inner in self._inner))


class _JsonBody:
    """The one body parameter: a `Body`, which may be optional."""

    def __init__(self, dependant: Dependant) -> None:
        field, *more = dependant.body_params
        annotation: Any = field.field_info.annotation
        kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not type(None)]
        if more or not all(inspect.isclass(kind) and issubclass(kind, Body) for kind in kinds):
            raise TypeError(f"{_name(dependant)} must take one body, a shared.web.fields.Body")
        self._name = field.name
        self._required = field.field_info.is_required()
        self._default = None if self._required else field.get_default()
        self._validate: Callable[[bytes], Any] = TypeAdapter(annotation).validate_json

    async def read(self, request: Request, into: dict[str, Any], errors: Errors) -> None:
        raw = await request.body()
        if not raw and not self._required:
            into[self._name] = self._default
            return
        if not raw:
            errors.append({"type": "missing", "loc": ("body",), "msg": "Field required"})
            return
        _require_json(request)
        try:
            into[self._name] = self._validate(raw)
        except ValidationError as error:
            errors.extend(cast(Errors, error.errors(include_url=False)))


def _repeats(field: Any) -> bool:
    return field_annotation_is_sequence(field.field_info.annotation)


def _require_simple(dependant: Dependant) -> None:
    call = cast(Callable[..., Any], dependant.call)
    function = call if inspect.isroutine(call) else getattr(call, "__call__", call)  # noqa: B004
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{_name(dependant)} must be an async function that returns; it may not yield")
    if (
        dependant.cookie_params
        or dependant.response_param_name
        or dependant.background_tasks_param_name
        or dependant.security_scopes_param_name
    ):
        raise TypeError(f"{_name(dependant)} takes cookies, a response, background tasks or security scopes")


def _name(dependant: Dependant) -> str:
    return getattr(dependant.call, "__qualname__", repr(dependant.call))


def _require_json(request: Request) -> None:
    given = request.headers.get("content-type", "")
    if given == _JSON:
        return
    kind = given.partition(";")[0].strip().lower()
    if kind != _JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        raise UnsupportedMediaType(
            f"This route reads {_JSON}, not {kind or 'a body without a Content-Type'}; "
            f"send the header Content-Type: {_JSON}.",
            headers={"Accept-Patch" if request.method == "PATCH" else "Accept-Post": _JSON},
        )
