"""One request for calls to several customers: a call for each, and for each that cannot be placed why (contract 6.2).

After the first of them has begun nothing fails the request: a client that sees an error asks again (contract 2.3). Those that
this runtime has no room for wait in a line, as any call to a telephone does (service.calls).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aywa.ports.calls import CallRefused
from aywa.ports.journal import StoreUnavailable
from aywa.service.call_request import read_request
from aywa.service.calls import TOO_MANY, Calls, Creator
from aywa.service.errors import Rejected
from aywa.service.rules import shown

CUSTOMERS_MAX = 1_000
"""Customers of one request."""

AT_ONCE = 10
"""How many are begun at the same time."""


def is_batch(body: Any) -> bool:
    """Whether a request for a call wants a call to each of several customers' telephones."""
    if not isinstance(body, dict) or body.get("customers") is None:
        return False
    return any(body.get(name) is not None for name in ("phoneNumberId", "phoneNumber"))


class Batches:
    """The use-case."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def create(self, creator: Creator, body: Mapping[str, Any], idempotency: str | None = None) -> str:
        """A JSON object of results and errors. Raises Rejected where no call of it could begin, whoever is called."""
        customers = body["customers"]
        problems = _problems(body, customers)
        if problems:
            raise Rejected(problems)
        bodies = [_for_one(body, customer) for customer in customers]
        self._check_common(bodies)
        places = asyncio.Semaphore(AT_ONCE)
        refused: list[CallRefused] = []

        async def one(index: int, asked: dict[str, Any]) -> str | dict[str, Any]:
            name = None if idempotency is None else f"{idempotency}:{index}"
            async with places:
                try:
                    return await self._calls.create(creator, asked, web=False, idempotency=name)
                except Rejected as rejection:
                    return {"customer": customers[index], "error": "; ".join(rejection.problems)}
                except CallRefused as refusal:
                    refused.append(refusal)
                    return {"customer": customers[index], "error": str(refusal)}
                except StoreUnavailable:
                    return {"customer": customers[index], "error": "The store does not answer right now."}

        found = await asyncio.gather(*(one(index, asked) for index, asked in enumerate(bodies)))
        results = [each for each in found if isinstance(each, str)]
        errors = json.dumps([each for each in found if not isinstance(each, str)])
        waits = any(json.loads(each).get("subscriptionLimits") for each in results)
        blocked = json.dumps(waits or any(each.ended_reason == TOO_MANY for each in refused))
        limits = f'{{"concurrencyBlocked":{blocked}}}'
        return f'{{"results":[{",".join(results)}],"errors":{errors},"subscriptionLimits":{limits}}}'

    def _check_common(self, bodies: list[dict[str, Any]]) -> None:
        """Raises Rejected with what is wrong with each of them, and is not about its customer."""
        shared: dict[str, None] | None = None
        for asked in bodies:
            try:
                _ = read_request(asked, web=False)
            except Rejected as rejection:
                own = [problem for problem in rejection.problems if not problem.startswith("customer")]
                shared = {problem: None for problem in own if shared is None or problem in shared}
            else:
                shared = {}
            if not shared:
                return
        raise Rejected(list(shared or ()))


def _for_one(body: Mapping[str, Any], customer: Any) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "customers"} | {"customer": customer}


def _problems(body: Mapping[str, Any], customers: Any) -> list[str]:
    problems = []
    if not isinstance(customers, list) or not 1 <= len(customers) <= CUSTOMERS_MAX:
        value = shown("customers", customers)
        problems.append(f"customers must be an array of 1 to {CUSTOMERS_MAX} elements, got {value}")
    else:
        problems += [
            f"customers[{index}] must be an object, got {shown('', customer)}"
            for index, customer in enumerate(customers)
            if not isinstance(customer, dict)
        ]
    for name in ("customer", "customerId"):
        if body.get(name) is not None:
            problems.append(
                f"{name} must not be given together with customers, got {shown(name, body[name])}"
            )
    return problems
