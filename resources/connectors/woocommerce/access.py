"""`etalon check` of a WooCommerce: what the key may read, what can be known of its right to write without writing, and the zone."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from resources.connectors.sdk.stream import AccessCheck
from resources.connectors.woocommerce.client import WooClient, has_no_route
from resources.connectors.woocommerce.rows import SiteIndex, Status
from resources.errors import EtalonError

_INDEX = msgspec.json.Decoder(SiteIndex)
_ANY = msgspec.json.Decoder(list[msgspec.Raw])
_STATUSES = msgspec.json.Decoder(list[Status])
_NEVER_ORDERS = frozenset({"trash", "auto-draft"})
_PROBES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("products", "/products", {"status": "any"}),
    ("variations", "/variations", {}),
    ("orders", "/orders", {"status": "any"}),
    ("refunds", "/refunds", {}),
    ("customers", "/customers", {"role": "all"}),
)


def check(client: WooClient, time_zone: str, statuses: Mapping[str, str]) -> tuple[AccessCheck, ...]:
    """Connect, read one row of each stream, compare the zones and the states of orders (``statuses``: those known).

    A failed line does not stop the others, but for the first.
    """
    try:
        index = client.site_index(_INDEX.decode).value
    except EtalonError as error:
        return (AccessCheck("connection", False, str(error)),)
    checks = [
        AccessCheck(
            "connection",
            True,
            f"{index.name}, API {', '.join(n for n in index.namespaces if n == 'wc/v3') or 'wc/v3 missing'}",
        )
    ]
    checks.append(_zone(index, time_zone))
    checks.append(_statuses(client, statuses))
    writable: list[str] = []
    for name, path, params in _PROBES:
        try:
            answer = client.get(path, {**params, "per_page": "1"}, _ANY.decode, stream=name)
        except EtalonError as error:
            if name == "variations" and has_no_route(str(error)):
                checks.append(
                    AccessCheck("read variations", True, "no common list in this version: read product by product")
                )
            else:
                checks.append(AccessCheck(f"read {name}", False, str(error)))
            continue
        checks.append(
            AccessCheck(f"read {name}", True, f"{answer.headers.get('X-WP-Total', 'unknown number of')} rows")
        )
        if "POST" in answer.headers.get("Allow", ""):
            writable.append(name)
    checks.append(
        AccessCheck(
            "write",
            True if writable else None,
            f"the site takes writes on {', '.join(writable)}; whether this KEY may is only known by writing "
            "(a read-only key is refused then): look under WooCommerce > Settings > Advanced > REST API"
            if writable
            else "the site names no collection that takes writes from this user",
        )
    )
    return tuple(checks)


def _statuses(client: WooClient, known: Mapping[str, str]) -> AccessCheck:
    name = "order statuses"
    try:
        try:
            found = client.get("/orders/statuses", {}, _STATUSES.decode).value
        except EtalonError as error:
            if not has_no_route(str(error)):
                raise
            # older versions list them here only
            found = client.get("/reports/orders/totals", {}, _STATUSES.decode).value
    except EtalonError as error:
        return AccessCheck(name, None, f"the shop does not list them to this key ({error}): a run names those it meets")
    unknown = sorted({status.slug.removeprefix("wc-") for status in found} - set(known) - _NEVER_ORDERS)
    if not unknown:
        return AccessCheck(name, True, f"all {len(found)} are known")
    return AccessCheck(
        name,
        None,
        f"not known: {', '.join(unknown)}; such orders are kept with the state their dates tell, until retailer.yaml says under "
        "`statuses` what they mean",
    )


def _zone(index: SiteIndex, time_zone: str) -> AccessCheck:
    if not index.timezone_string:
        detail = f"the site has only an offset of {index.gmt_offset} h, without a zone: dates in UTC are read, so nothing is lost"
        return AccessCheck("time zone", True, detail)
    is_same = index.timezone_string == time_zone
    detail = f"the site says {index.timezone_string}, retailer.yaml says {time_zone}"
    return AccessCheck("time zone", is_same, detail if is_same else f"{detail}: correct retailer.yaml")
