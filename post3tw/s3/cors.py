"""What pages of other origins are told (CORS): preflight requests, and headers on every answer to a browser.

Theory of operation. A browser says in `Origin` which page a request comes from, and hides the answer from that page
unless the answer allows it. Nothing is protected here: whoever is not a browser ignores all of this, and who may do
what is decided elsewhere. So a preflight request needs no signature, and errors carry the headers too, or a page could
not read why it was refused.

The first rule of the bucket that fits counts, else the origins that the server was started with. A request without
`Origin` costs nothing.

Sources: "CORS protocol", the Fetch standard; "Using cross-origin resource sharing", Amazon S3 User Guide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

from post3tw.model.cors import METHODS, CorsRule, rule_for
from post3tw.model.errors import BadRequest, CorsNotAllowed, CorsNotEnabled
from post3tw.s3.addressing import Address
from post3tw.s3.exchange import Fields, RequestHead
from post3tw.service.interfaces import ICorsRules

_VARY = ("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
_RESOURCE_TYPES = ("SERVICE", "BUCKET", "OBJECT")
_NOT_ALLOWED = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / "
    "Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)
_MOST_ASKED = 50
"""Headers that one preflight request may ask for: matching them must not cost much, and nobody needs more."""


@frozen
class CrossOrigin:
    """Answers for pages of other origins.

    Args:
        rules: those of buckets; None when the service has none.
        tenant_of: the tenant in which a request's bucket is looked up.
        everywhere: what holds in every bucket, after its own rules; such rules never allow credentials.
    """

    rules: ICorsRules | None
    tenant_of: Callable[[RequestHead, Address], str]
    everywhere: Sequence[CorsRule] = ()

    async def headers(self, head: RequestHead, address: Address) -> Fields:
        """What every answer to a request with an Origin gets, errors included."""
        method = head.headers.get("access-control-request-method", head.method)
        rules = (*(await self._rules_of_bucket(head, address) or ()), *self.everywhere)
        rule = rule_for(rules, head.headers["origin"], method, _asked(head))
        if rule is not None:
            return self._fields(rule, head)
        return (_VARY,) if rules else ()

    async def preflight(self, head: RequestHead, address: Address) -> Fields:
        """The headers of the answer to a preflight request; it has no body.

        Raises:
            BadRequest: it is none.
            CorsNotEnabled: nothing allows anything here.
            CorsNotAllowed: nothing allows this.
        """
        origin, method = head.headers.get("origin"), head.headers.get("access-control-request-method")
        if origin is None:
            raise BadRequest("Insufficient information. Origin request header needed.")
        if method not in METHODS:
            raise BadRequest(f"Invalid Access-Control-Request-Method: {method or 'null'}")
        of_bucket = await self._rules_of_bucket(head, address)
        rule = rule_for((*(of_bucket or ()), *self.everywhere), origin, method, _asked(head))
        if rule is not None:
            return self._fields(rule, head)
        resource_type = _RESOURCE_TYPES[address.level]
        if of_bucket or self.everywhere:
            raise CorsNotAllowed(_NOT_ALLOWED, method=method, resource_type=resource_type)
        message = "" if of_bucket is not None else "CORSResponse: Bucket not found"
        raise CorsNotEnabled(message, method=method, resource_type=resource_type)

    async def _rules_of_bucket(self, head: RequestHead, address: Address) -> Sequence[CorsRule] | None:
        if self.rules is None or address.bucket is None:
            return ()
        return await self.rules.rules_of(self.tenant_of(head, address), address.bucket)

    def _fields(self, rule: CorsRule, head: RequestHead) -> Fields:
        origin = "*" if rule.for_everybody else head.headers["origin"]
        fields = [
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Methods", ", ".join(rule.methods)),
            _VARY,
        ]
        asked = _asked(head)
        if asked:
            fields.append(("Access-Control-Allow-Headers", ", ".join(asked)))
        if rule.expose:
            fields.append(("Access-Control-Expose-Headers", ", ".join(rule.expose)))
        if rule.max_age is not None:
            fields.append(("Access-Control-Max-Age", str(rule.max_age)))
        if not rule.for_everybody and rule not in self.everywhere:
            fields.append(("Access-Control-Allow-Credentials", "true"))
        return fields


def open_to(origins: Sequence[str]) -> Sequence[CorsRule]:
    """The rules that let pages of these origins do everything: none for none."""
    return (CorsRule(tuple(origins), METHODS, headers=("*",), expose=("*",)),) if origins else ()


def _asked(head: RequestHead) -> Sequence[str]:
    """The headers that a page wants to send, in lower case.

    Raises:
        BadRequest: too many.
    """
    text = head.headers.get("access-control-request-headers", "")
    names = [name for part in text.split(",") if (name := part.strip(" \t").lower())]
    if len(names) > _MOST_ASKED:
        raise BadRequest(f"Access-Control-Request-Headers names more than {_MOST_ASKED} headers.")
    return names
