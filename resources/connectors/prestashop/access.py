"""`etalon check` of a PrestaShop: the Webservice's own index lists what the key may do; then one row of each resource, and the zone."""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

from resources.connectors.prestashop.client import PrestaShopClient
from resources.connectors.prestashop.facts import Notes, read_shop, read_shops
from resources.connectors.prestashop.lenient import decoder_of
from resources.connectors.prestashop.rows import IdOnly
from resources.connectors.prestashop.scope import shop_problem
from resources.connectors.prestashop.streams import RESOURCES_READ, STREAMS, WRITE_METHODS
from resources.connectors.sdk.stream import AccessCheck
from resources.errors import EtalonError

_ANY = decoder_of(IdOnly)
_METHODS = ("get", "put", "post", "patch", "delete", "head")


def allowed_methods(index: bytes) -> dict[str, frozenset[str]]:
    """Resource -> methods, out of the XML index. Entities and network are off: the document comes from outside."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    api = etree.fromstring(index, parser).find("api")
    if api is None:
        return {}
    return {
        str(resource.tag): frozenset(method for method in _METHODS if resource.get(method) == "true")
        for resource in api
    }


def check(client: PrestaShopClient, time_zone: str, shop_id: int | None) -> tuple[AccessCheck, ...]:
    """Connect, list the key's rights, read one row of each stream, compare the zones. Only a failed connection stops the rest."""
    try:
        allowed = allowed_methods(client.index())
    except (EtalonError, etree.XMLSyntaxError) as error:
        return (AccessCheck("connection", False, str(error)),)
    checks = [AccessCheck("connection", True, f"the key sees {len(allowed)} resources")]
    missing = [name for name in RESOURCES_READ if "get" not in allowed.get(name, frozenset())]
    checks.append(
        AccessCheck(
            "read",
            not missing,
            f"missing: GET on {', '.join(missing)}: tick them in Advanced parameters > Webservice"
            if missing
            else f"GET on all {len(RESOURCES_READ)} resources that are read",
        )
    )
    for stream in STREAMS:
        resource = stream.path.rpartition("/")[2] if stream.name == "prices" else stream.name
        try:
            rows = client.rows(resource, {"limit": "1"}, _ANY.decode, stream=stream.name).value.rows
        except EtalonError as error:
            checks.append(AccessCheck(f"read {stream.name}", False, str(error)))
        else:
            checks.append(AccessCheck(f"read {stream.name}", True, "has rows" if rows else "is empty"))
    checks.append(_writing(allowed))
    checks.append(_shops(client, shop_id))
    checks.append(_zone(client, time_zone))
    return tuple(checks)


def _writing(allowed: Mapping[str, frozenset[str]]) -> AccessCheck:
    """What may be written back. A key that only reads is right too; one that may write a part tells what it lacks."""
    lacking = {
        name: [method.upper() for method in methods if method not in allowed.get(name, frozenset())]
        for name, methods in WRITE_METHODS.items()
    }
    writable = [name for name, methods in lacking.items() if not methods]
    if not writable:
        return AccessCheck("write", None, "a key that only reads")
    missing = "; ".join(f"{', '.join(methods)} on {name}" for name, methods in lacking.items() if methods)
    detail = f"may write {', '.join(writable)}"
    return AccessCheck("write", True, f"{detail}; not {missing}" if missing else detail)


def _shops(client: PrestaShopClient, shop_id: int | None) -> AccessCheck:
    notes = Notes()
    try:
        problem = shop_problem(read_shops(client, "check", notes), shop_id)
    except EtalonError as error:
        return AccessCheck("shop", False, str(error))
    if problem is not None:
        return AccessCheck("shop", False, f"{problem}: set the system's shop_id in retailer.yaml, one system per shop")
    return AccessCheck("shop", True, "; ".join(notes) or ("the only one" if shop_id is None else f"shop {shop_id}"))


def _zone(client: PrestaShopClient, time_zone: str) -> AccessCheck:
    try:
        shop_zone = read_shop(client, "check", Notes()).settings.get("PS_TIMEZONE", "")
    except EtalonError as error:
        return AccessCheck("time zone", False, str(error))
    detail = f"the shop says {shop_zone or 'nothing'}, retailer.yaml says {time_zone}"
    is_same = shop_zone == time_zone
    return AccessCheck("time zone", is_same, detail if is_same else f"{detail}: its dates would be read hours off")
