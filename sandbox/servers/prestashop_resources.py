"""The PrestaShop 8 Webservice's resources: fields in their order, what an empty one prints, what may be written.

Belongs here: declarations, as recorded from a shop of version 8.2.1. The rules that use them are in `prestashop_query` and
`prestashop_writes`; the rows come from `prestashop_rows`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.servers.table import Row

LANGUAGE_IDS = ("1", "2")
NO_DATE = "0000-00-00 00:00:00"
KEY_OF_NOBODY = "5f4dcc3b5aa765d61d8327deb882cf99"
READ = frozenset({"GET", "HEAD"})
ALL = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
NO_CREATE = frozenset({"GET", "HEAD", "PUT", "PATCH"})


def texts(value: str, other: str | None = None) -> list[dict[str, str]]:
    """A field in both languages: 1 English, 2 French."""
    return [{"id": "1", "value": value}, {"id": "2", "value": value if other is None else other}]


@dataclass(frozen=True)
class Association:
    """A list inside a row: its XML node and the resource it points to; ``fields`` of an element."""

    name: str
    node: str
    api: str
    fields: tuple[str, ...] = ("id",)


@dataclass(frozen=True)
class Resource:
    """One resource. ``blank``: every field in the order it is printed, with the value it has when nobody set it.

    ``links``: fields that point to another resource. ``formats``: how a written value is checked; the rest is free text.
    """

    path: str
    node: str
    blank: Row
    collection: str = ""
    class_name: str = ""
    methods: frozenset[str] = ALL
    required: tuple[str, ...] = ()
    read_only: frozenset[str] = frozenset()
    not_filterable: frozenset[str] = frozenset()
    associations: tuple[Association, ...] = ()
    links: dict[str, str] = field(default_factory=dict)
    formats: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The key of its rows in JSON, which may differ from the path."""
        return self.collection or self.path

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field, associations left out."""
        return tuple(self.blank)

    @property
    def dates(self) -> frozenset[str]:
        """The fields that a filter may name only with date=1."""
        return frozenset(self.blank) & {"date_add", "date_upd"}

    def is_multilingual(self, name: str) -> bool:
        """Whether a field has one text per language."""
        return isinstance(self.blank.get(name), list)


def _zeros(*names: str, value: str = "0") -> Row:
    return dict.fromkeys(names, value)


_IDS = {
    "id_customer": "customers",
    "id_order": "orders",
    "id_product": "products",
    "id_shop": "shops",
    "id_lang": "languages",
    "id_currency": "currencies",
    "id_carrier": "carriers",
    "id_country": "countries",
    "id_category_default": "categories",
    "id_tax_rules_group": "tax_rule_groups",
    "id_address_delivery": "addresses",
    "id_address_invoice": "addresses",
    "id_cart": "carts",
    "id_parent": "categories",
    "id_order_state": "order_states",
    "current_state": "order_states",
    "id_default_group": "groups",
    "id_attribute_group": "product_options",
    "id_tax": "taxes",
}

PRODUCT: Row = {
    "id": 0,
    **_zeros("id_manufacturer", "id_supplier"),
    "id_category_default": "2",
    "new": None,
    "cache_default_attribute": "0",
    "id_default_image": "",
    "id_default_combination": 0,
    **_zeros("id_tax_rules_group", "position_in_category"),
    "manufacturer_name": False,
    "quantity": "0",
    "type": "simple",
    "id_shop_default": "1",
    **_zeros("reference", "supplier_reference", "location", value=""),
    **_zeros("width", "height", "depth", "weight", value="0.000000"),
    "quantity_discount": "0",
    **_zeros("ean13", "isbn", "upc", "mpn", value=""),
    **_zeros("cache_is_pack", "cache_has_attachments", "is_virtual"),
    "state": "1",
    "additional_delivery_times": "0",
    "delivery_in_stock": texts(""),
    "delivery_out_stock": texts(""),
    "product_type": "",
    **_zeros("on_sale", "online_only"),
    "ecotax": "0.000000",
    "minimal_quantity": "1",
    "low_stock_threshold": None,
    "low_stock_alert": "0",
    **_zeros("price", "wholesale_price", value="0.000000"),
    "unity": "",
    **_zeros("unit_price", "unit_price_ratio", "additional_shipping_cost", value="0.000000"),
    **_zeros("customizable", "text_fields", "uploadable_files"),
    "active": "1",
    "redirect_type": "",
    "id_type_redirected": "0",
    "available_for_order": "1",
    "available_date": "0000-00-00",
    "show_condition": "0",
    "condition": "new",
    **_zeros("show_price", "indexed", value="1"),
    "visibility": "both",
    "advanced_stock_management": "0",
    **_zeros("date_add", "date_upd", value=NO_DATE),
    "pack_stock_type": "0",
    **{
        name: texts("")
        for name in (
            "meta_description",
            "meta_keywords",
            "meta_title",
            "link_rewrite",
            "name",
            "description",
            "description_short",
            "available_now",
            "available_later",
        )
    },
}

ORDER: Row = {
    "id": 0,
    **_zeros("id_address_delivery", "id_address_invoice", "id_cart"),
    **_zeros("id_currency", value="1"),
    "id_lang": "2",
    **_zeros("id_customer", "id_carrier", "current_state"),
    "module": "",
    "invoice_number": "0",
    "invoice_date": NO_DATE,
    "delivery_number": "0",
    "delivery_date": NO_DATE,
    "valid": "0",
    **_zeros("date_add", "date_upd", value=NO_DATE),
    **_zeros("shipping_number", "note", value=""),
    **_zeros("id_shop_group", "id_shop", value="1"),
    "secure_key": KEY_OF_NOBODY,
    "payment": "",
    **_zeros("recyclable", "gift"),
    "gift_message": "",
    "mobile_theme": "0",
    **_zeros(
        "total_discounts",
        "total_discounts_tax_incl",
        "total_discounts_tax_excl",
        "total_paid",
        "total_paid_tax_incl",
        "total_paid_tax_excl",
        "total_paid_real",
        "total_products",
        "total_products_wt",
        "total_shipping",
        "total_shipping_tax_incl",
        "total_shipping_tax_excl",
        value="0.000000",
    ),
    "carrier_tax_rate": "0.000",
    **_zeros("total_wrapping", "total_wrapping_tax_incl", "total_wrapping_tax_excl", value="0.000000"),
    **_zeros("round_mode", "round_type", value="2"),
    "conversion_rate": "1.000000",
    "reference": "",
}

ORDER_ROW_FIELDS = (
    "id",
    "product_id",
    "product_attribute_id",
    "product_quantity",
    "product_name",
    "product_reference",
    "product_ean13",
    "product_isbn",
    "product_upc",
    "product_price",
    "id_customization",
    "unit_price_tax_incl",
    "unit_price_tax_excl",
)

ORDER_DETAIL: Row = {
    "id": 0,
    **_zeros("id_order", "product_id", "product_attribute_id", "product_quantity_reinjected"),
    "group_reduction": "0.00",
    "discount_quantity_applied": "0",
    "download_hash": "",
    "download_deadline": NO_DATE,
    **_zeros("id_order_invoice", "id_warehouse"),
    "id_shop": "1",
    "id_customization": "0",
    "product_name": "",
    **_zeros("product_quantity", "product_quantity_in_stock", "product_quantity_return", "product_quantity_refunded"),
    "product_price": "0.000000",
    "reduction_percent": "0.00",
    **_zeros(
        "reduction_amount",
        "reduction_amount_tax_incl",
        "reduction_amount_tax_excl",
        "product_quantity_discount",
        value="0.000000",
    ),
    **_zeros(
        "product_ean13",
        "product_isbn",
        "product_upc",
        "product_mpn",
        "product_reference",
        "product_supplier_reference",
        value="",
    ),
    "product_weight": "0.000000",
    **_zeros("tax_computation_method", "id_tax_rules_group"),
    "ecotax": "0.000000",
    "ecotax_tax_rate": "0.000",
    "download_nb": "0",
    **_zeros(
        "unit_price_tax_incl",
        "unit_price_tax_excl",
        "total_price_tax_incl",
        "total_price_tax_excl",
        "total_shipping_price_tax_excl",
        "total_shipping_price_tax_incl",
        "purchase_supplier_price",
        "original_product_price",
        "original_wholesale_price",
        "total_refunded_tax_excl",
        "total_refunded_tax_incl",
        value="0.000000",
    ),
}

CUSTOMER: Row = {
    "id": 0,
    "id_default_group": "3",
    "id_lang": "2",
    "newsletter_date_add": NO_DATE,
    "ip_registration_newsletter": "",
    "last_passwd_gen": NO_DATE,
    "secure_key": KEY_OF_NOBODY,
    "deleted": "0",
    "passwd": "$2y$10$" + KEY_OF_NOBODY + KEY_OF_NOBODY[:21],
    **_zeros("lastname", "firstname", "email", value=""),
    "id_gender": "0",
    "birthday": "0000-00-00",
    **_zeros("newsletter", "optin"),
    **_zeros("website", "company", "siret", "ape", value=""),
    "outstanding_allow_amount": "0.000000",
    **_zeros("show_public_prices", "id_risk", "max_payment_days"),
    "active": "1",
    "note": "",
    "is_guest": "0",
    **_zeros("id_shop", "id_shop_group", value="1"),
    **_zeros("date_add", "date_upd", value=NO_DATE),
    "reset_password_token": "",
    "reset_password_validity": NO_DATE,
}

_RESOURCES = (
    Resource(
        "addresses",
        "address",
        {
            "id": 0,
            **_zeros("id_customer", "id_manufacturer", "id_supplier", "id_warehouse", "id_country", "id_state"),
            "alias": "",
            **_zeros("company", "lastname", "firstname", "vat_number", "address1", "address2", value=""),
            **_zeros("postcode", "city", "other", "phone", "phone_mobile", "dni", value=""),
            "deleted": "0",
            **_zeros("date_add", "date_upd", value=NO_DATE),
        },
        class_name="Address",
        required=("id_country", "alias", "lastname", "firstname", "address1", "city"),
        links=_IDS,
    ),
    Resource(
        "carriers",
        "carrier",
        {
            "id": 0,
            **_zeros("deleted", "is_module"),
            "id_tax_rules_group": 1,
            "id_reference": "0",
            "name": "",
            "active": "1",
            "is_free": "0",
            "url": "",
            **_zeros("shipping_handling", "shipping_external", "range_behavior"),
            "shipping_method": 1,
            **_zeros("max_width", "max_height", "max_depth"),
            "max_weight": "0.000000",
            "grade": "0",
            "external_module_name": "",
            **_zeros("need_range", "position"),
            "delay": texts(""),
        },
        methods=READ,
        links=_IDS,
    ),
    Resource(
        "carts",
        "cart",
        {
            "id": 0,
            **_zeros("id_address_delivery", "id_address_invoice", "id_currency", "id_customer", "id_guest", "id_lang"),
            **_zeros("id_shop_group", "id_shop", value="1"),
            **_zeros("id_carrier", "recyclable", "gift"),
            "gift_message": "",
            "mobile_theme": "0",
            **_zeros("delivery_option", "secure_key", value=""),
            "allow_seperated_package": "0",
            **_zeros("date_add", "date_upd", value=NO_DATE),
        },
        class_name="Cart",
        required=("id_currency", "id_lang"),
        associations=(
            Association(
                "cart_rows",
                "cart_row",
                "",
                ("id_product", "id_product_attribute", "id_address_delivery", "id_customization", "quantity"),
            ),
        ),
        links=_IDS,
    ),
    Resource(
        "categories",
        "category",
        {
            "id": 0,
            **_zeros("id_parent", "level_depth", "nb_products_recursive"),
            **_zeros("active", "id_shop_default", value="1"),
            **_zeros("is_root_category", "position"),
            **_zeros("date_add", "date_upd", value=NO_DATE),
            **{
                name: texts("")
                for name in (
                    "name",
                    "link_rewrite",
                    "description",
                    "additional_description",
                    "meta_title",
                    "meta_description",
                    "meta_keywords",
                )
            },
        },
        methods=READ,
        read_only=frozenset({"level_depth", "nb_products_recursive"}),
        associations=(
            Association("categories", "category", "categories"),
            Association("products", "product", "products"),
        ),
        links=_IDS,
    ),
    Resource(
        "combinations",
        "combination",
        {
            "id": 0,
            "id_product": "0",
            **_zeros("ean13", "isbn", "upc", "mpn", "reference", "supplier_reference", value=""),
            **_zeros("wholesale_price", "price", "ecotax", "weight", "unit_price_impact", value="0.000000"),
            "minimal_quantity": "1",
            **_zeros("low_stock_threshold", "low_stock_alert"),
            "default_on": "",
            "available_date": "0000-00-00",
            "available_now": texts(""),
            "available_later": texts(""),
        },
        class_name="Combination",
        required=("id_product", "minimal_quantity"),
        associations=(
            Association("product_option_values", "product_option_value", "product_option_values"),
            Association("images", "image", "images/products"),
        ),
        links=_IDS,
        formats={
            "id_product": "unsigned",
            "price": "negative_price",
            "wholesale_price": "price",
            "minimal_quantity": "unsigned",
        },
    ),
    Resource(
        "configurations",
        "configuration",
        {
            "id": 0,
            **_zeros("value", "name", value=""),
            **_zeros("id_shop_group", "id_shop", value=""),
            **_zeros("date_add", "date_upd", value=NO_DATE),
        },
        methods=READ,
    ),
    Resource(
        "countries",
        "country",
        {
            "id": 0,
            "id_zone": "1",
            "id_currency": "0",
            **_zeros("call_prefix", "iso_code", value=""),
            "active": "1",
            **_zeros("contains_states", "need_identification_number"),
            "need_zip_code": "1",
            "zip_code_format": "",
            "display_tax_label": "1",
            "name": texts(""),
        },
        methods=READ,
        links=_IDS,
    ),
    Resource(
        "currencies",
        "currency",
        {
            "id": 0,
            "names": texts(""),
            "name": "",
            "symbol": texts(""),
            **_zeros("iso_code", "numeric_iso_code", value=""),
            "precision": "2",
            "conversion_rate": "1.000000",
            "deleted": "0",
            "active": "1",
            **_zeros("unofficial", "modified"),
            "pattern": texts(""),
        },
        methods=READ,
    ),
    Resource(
        "customers",
        "customer",
        CUSTOMER,
        class_name="Customer",
        required=("passwd", "lastname", "firstname", "email"),
        associations=(Association("groups", "group", "groups"),),
        links=_IDS,
        formats={"active": "bool", "is_guest": "bool", "id_default_group": "unsigned"},
    ),
    Resource(
        "groups",
        "group",
        {
            "id": 0,
            "reduction": "0.00",
            "price_display_method": "0",
            "show_prices": "1",
            **_zeros("date_add", "date_upd", value=NO_DATE),
            "name": texts(""),
        },
        methods=READ,
    ),
    Resource(
        "languages",
        "language",
        {
            "id": 0,
            **_zeros("name", "iso_code", "locale", "language_code", value=""),
            "active": "1",
            "is_rtl": "0",
            "date_format_lite": "d/m/Y",
            "date_format_full": "d/m/Y H:i:s",
        },
        methods=READ,
    ),
    Resource(
        "order_carriers",
        "order_carrier",
        {
            "id": 0,
            **_zeros("id_order", "id_carrier", "id_order_invoice"),
            **_zeros("weight", "shipping_cost_tax_excl", "shipping_cost_tax_incl", value="0.000000"),
            "tracking_number": "",
            "date_add": NO_DATE,
        },
        class_name="OrderCarrier",
        required=("id_order", "id_carrier"),
        links=_IDS,
        formats={"tracking_number": "tracking"},
    ),
    Resource(
        "order_details",
        "order_detail",
        ORDER_DETAIL,
        class_name="OrderDetail",
        required=("id_order", "id_warehouse", "id_shop", "product_name", "product_quantity", "product_price"),
        associations=(Association("taxes", "tax", "taxes"),),
        links=_IDS,
        formats=_zeros(
            "product_quantity",
            "product_quantity_refunded",
            "product_quantity_return",
            "product_quantity_reinjected",
            value="unsigned",
        ),
    ),
    Resource(
        "order_histories",
        "order_history",
        {"id": 0, **_zeros("id_employee", "id_order_state", "id_order"), "date_add": NO_DATE},
        class_name="OrderHistory",
        required=("id_order_state", "id_order"),
        links=_IDS,
        formats={"id_order_state": "unsigned", "id_order": "unsigned"},
    ),
    Resource(
        "order_slip",
        "order_slip",
        {
            "id": 0,
            **_zeros("id_customer", "id_order"),
            "conversion_rate": "1.000000",
            **_zeros(
                "total_products_tax_excl",
                "total_products_tax_incl",
                "total_shipping_tax_excl",
                "total_shipping_tax_incl",
                "amount",
                value="0.000000",
            ),
            "shipping_cost": "0",
            "shipping_cost_amount": "0.000000",
            "partial": "0",
            **_zeros("date_add", "date_upd", value=NO_DATE),
            "order_slip_type": "0",
        },
        collection="order_slips",
        class_name="OrderSlip",
        required=(
            "id_customer",
            "id_order",
            "conversion_rate",
            "total_products_tax_excl",
            "total_products_tax_incl",
            "total_shipping_tax_excl",
            "total_shipping_tax_incl",
        ),
        associations=(
            Association(
                "order_slip_details",
                "order_slip_detail",
                "",
                ("id", "id_order_detail", "product_quantity", "amount_tax_excl", "amount_tax_incl"),
            ),
        ),
        links=_IDS,
    ),
    Resource(
        "order_states",
        "order_state",
        {
            "id": 0,
            "unremovable": "1",
            **_zeros("delivery", "hidden", "send_email"),
            "module_name": "",
            "invoice": "0",
            "color": "#34209E",
            **_zeros("logable", "shipped", "paid", "pdf_delivery", "pdf_invoice", "deleted"),
            "name": texts(""),
            "template": texts(""),
        },
        methods=READ,
    ),
    Resource(
        "orders",
        "order",
        ORDER,
        class_name="Order",
        methods=NO_CREATE,
        required=(
            "id_address_delivery",
            "id_address_invoice",
            "id_cart",
            "id_currency",
            "id_lang",
            "id_customer",
            "id_carrier",
            "module",
            "payment",
            "total_paid",
            "total_paid_real",
            "total_products",
            "total_products_wt",
            "conversion_rate",
        ),
        associations=(Association("order_rows", "order_row", "", ORDER_ROW_FIELDS),),
        links=_IDS,
        formats={"current_state": "unsigned", "total_paid": "price"},
    ),
    Resource(
        "product_option_values",
        "product_option_value",
        {"id": 0, "id_attribute_group": "0", "color": "", "position": "0", "name": texts("")},
        methods=READ,
        links=_IDS,
    ),
    Resource(
        "product_options",
        "product_option",
        {
            "id": 0,
            "is_color_group": "0",
            "group_type": "select",
            "position": "0",
            "name": texts(""),
            "public_name": texts(""),
        },
        methods=READ,
        associations=(Association("product_option_values", "product_option_value", "product_option_values"),),
    ),
    Resource(
        "products",
        "product",
        PRODUCT,
        class_name="Product",
        required=("price",),
        read_only=frozenset({"manufacturer_name", "quantity"}),
        not_filterable=frozenset(
            {
                "id_default_image",
                "id_default_combination",
                "position_in_category",
                "manufacturer_name",
                "quantity",
                "type",
            }
        ),
        associations=(
            Association("categories", "category", "categories"),
            Association("images", "image", "images"),
            Association("combinations", "combination", "combinations"),
            Association("product_option_values", "product_option_value", "product_option_values"),
            Association("product_features", "product_feature", "product_features", ("id", "id_feature_value")),
            Association("tags", "tag", "tags"),
            Association("stock_availables", "stock_available", "stock_availables", ("id", "id_product_attribute")),
            Association("attachments", "attachment", "attachments"),
            Association("accessories", "product", "products"),
            Association("product_bundle", "product", "products", ("id", "id_product_attribute", "quantity")),
        ),
        links=_IDS,
        formats={
            "price": "price",
            "wholesale_price": "price",
            "weight": "unsigned_float",
            "active": "bool",
            "on_sale": "bool",
            "is_virtual": "bool",
            "id_tax_rules_group": "unsigned",
            "id_category_default": "unsigned",
            "name": "catalog_name",
            "ean13": "ean13",
            "reference": "reference",
        },
    ),
    Resource(
        "shops",
        "shop",
        {
            "id": 0,
            "id_shop_group": "1",
            "id_category": "2",
            "active": "1",
            "deleted": "0",
            **_zeros("name", "color", value=""),
            "theme_name": "classic",
        },
        methods=READ,
    ),
    Resource(
        "specific_prices",
        "specific_price",
        {
            "id": 0,
            **_zeros(
                "id_shop_group",
                "id_shop",
                "id_cart",
                "id_product",
                "id_product_attribute",
                "id_currency",
                "id_country",
                "id_group",
                "id_customer",
                "id_specific_price_rule",
            ),
            "price": "-1.000000",
            "from_quantity": "1",
            "reduction": "0.000000",
            "reduction_tax": "1",
            "reduction_type": "amount",
            "from": NO_DATE,
            "to": NO_DATE,
        },
        class_name="SpecificPrice",
        required=(
            "id_shop",
            "id_cart",
            "id_product",
            "id_currency",
            "id_country",
            "id_group",
            "id_customer",
            "price",
            "from_quantity",
            "reduction",
            "reduction_type",
            "from",
            "to",
        ),
        links=_IDS,
        formats={
            "price": "negative_price",
            "reduction": "price",
            "from_quantity": "unsigned",
            "id_product": "unsigned",
        },
    ),
    Resource(
        "stock_availables",
        "stock_available",
        {
            "id": 0,
            **_zeros("id_product", "id_product_attribute"),
            "id_shop": "1",
            **_zeros("id_shop_group", "quantity", "depends_on_stock"),
            "out_of_stock": "2",
            "location": "",
        },
        class_name="StockAvailable",
        methods=NO_CREATE,
        required=("id_product", "id_product_attribute", "quantity", "depends_on_stock", "out_of_stock"),
        links=_IDS,
        formats={
            "quantity": "int",
            "id_product": "unsigned",
            "id_product_attribute": "unsigned",
            "depends_on_stock": "bool",
            "out_of_stock": "int",
        },
    ),
    Resource(
        "tax_rule_groups",
        "tax_rule_group",
        {"id": 0, "name": "", "active": "1", "deleted": "0", **_zeros("date_add", "date_upd", value=NO_DATE)},
        methods=READ,
    ),
    Resource(
        "tax_rules",
        "tax_rule",
        {
            "id": 0,
            **_zeros(
                "id_tax_rules_group", "id_state", "id_country", "zipcode_from", "zipcode_to", "id_tax", "behavior"
            ),
            "description": "",
        },
        methods=READ,
        links=_IDS,
    ),
    Resource(
        "taxes",
        "tax",
        {"id": 0, "rate": "0.000", "active": "1", "deleted": "0", "name": texts("")},
        methods=READ,
    ),
)

RESOURCES: dict[str, Resource] = {resource.path: resource for resource in _RESOURCES}

# The whole list a shop of version 8.2.1 prints; a resource we hold no rows of is an empty one.
ALL_RESOURCES = (
    "addresses attachments carriers cart_rules carts categories combinations configurations contacts "
    "content_management_system countries currencies customer_messages customer_threads customers customizations "
    "deliveries employees groups guests image_types images languages manufacturers messages order_carriers "
    "order_cart_rules order_details order_histories order_invoices order_payments order_slip order_states orders "
    "price_ranges product_customization_fields product_feature_values product_features product_option_values "
    "product_options product_suppliers products search shop_groups shop_urls shops specific_price_rules "
    "specific_prices states stock_availables stock_movement_reasons stock_movements stocks stores suppliers "
    "supply_order_details supply_order_histories supply_order_receipt_histories supply_order_states supply_orders "
    "tags tax_rule_groups tax_rules taxes translated_configurations warehouse_product_locations warehouses "
    "weight_ranges zones"
).split()


def resource_of_rows(path: str, rows: list[Row]) -> Resource:
    """A read-only resource seen only through its rows: the fields are those of the first one."""
    known = RESOURCES.get(path)
    if known is not None:
        return known
    blank: dict[str, Any] = (
        {name: value for name, value in rows[0].items() if name != "associations"} if rows else {"id": 0}
    )
    return Resource(path, path[:-1], blank, methods=READ)
