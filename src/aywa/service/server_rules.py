"""A customer's server (contract 7.1), wherever a document names one."""

from __future__ import annotations

from aywa.service.rules import Choice, Flag, ListOf, Number, Obj, Text

BACKOFF_PLAN = Obj(
    {
        "type": Choice(("fixed", "exponential"), "fixed"),
        "maxRetries": Number(0, 10),
        "baseDelaySeconds": Number(0, 10),
        "excludedStatusCodes": ListOf(Number()),
    }
)
SERVER = Obj(
    {
        "url": Text(),
        "timeoutSeconds": Number(1, 300, default=20),
        "credentialId": Text(),
        "headers": Obj(),
        "secret": Text(),
        "encryptedPaths": ListOf(Text()),
        "staticIpAddressesEnabled": Flag(),
        "backoffPlan": BACKOFF_PLAN,
    }
)
