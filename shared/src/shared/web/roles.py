"""Which role may do what."""

from types import MappingProxyType

READ = frozenset(
    {"customers:read", "products:read", "orders:read", "tickets:read", "receipts:read", "scores:read"}
)
WRITE = frozenset(
    {
        "customers:write",
        "products:write",
        "orders:write",
        "tickets:open",  # open tickets and comment on them; customers may, on their own
        "tickets:write",  # resolve and reopen them
        "receipts:write",
    }
)
IMPORT = frozenset({"customers:import", "products:import", "orders:import", "tickets:import"})
OPERATE = frozenset({"scores:fit", "scores:rebuild", "events:read", "parked:read", "parked:write"})

SCOPES = READ | WRITE | IMPORT | OPERATE

CUSTOMER = "customer"
"""The role of a customer with a token of their own, bound to one customer id."""

ROLE_SCOPES = MappingProxyType(
    {
        "administrator": SCOPES,
        "manager": READ | WRITE | IMPORT | {"scores:fit"},
        "sales": READ | {"customers:write", "orders:write"},
        "marketing": READ | {"customers:write"},
        "finance": READ | {"receipts:write"},
        "agent": READ | {"customers:write", "tickets:open", "tickets:write"},
        "engineer": frozenset(
            {"customers:read", "products:read", "tickets:read", "tickets:open", "tickets:write"}
        ),
        "analyst": READ | {"scores:fit", "events:read"},
        "service": READ | WRITE | {"events:read"},
        CUSTOMER: frozenset(
            {
                "customers:read",
                "products:read",
                "orders:read",
                "tickets:read",
                "tickets:open",
                "receipts:read",
            }
        ),
    }
)


def scopes_of(roles: frozenset[str], granted: str = "") -> frozenset[str]:
    """What the roles allow, and the scopes the issuer granted besides; unknown ones give nothing."""
    allowed = SCOPES.intersection(granted.split())
    for role in roles:
        allowed |= ROLE_SCOPES.get(role, frozenset())
    return allowed
