"""Contract of the canonical entity `order`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "order",
    "A sale: a web order, a marketplace order or a till ticket, re-derived from its latest version. Grain: one row per system and order.",
    keys=("order_external_id",),
    fields={
        "order_external_id": c.code("The system's own id."),
        "channel_code": c.code("Channel it was sold on."),
        "order_number": c.code("Number that people and other systems quote."),
        "origin_channel_code": c.code(
            "Channel it really comes from, when it was imported from another one (a marketplace).", nullable=True
        ),
        "origin_order_number": c.code("Its number there.", nullable=True),
        "location_code": c.code(
            "Store that sold it (tills) or that hands it over (pickup); null when the channel's rule decides.",
            nullable=True,
        ),
        "ordered_at": c.instant("When it was placed."),
        "payable_at": c.instant(
            "When payment was authorised and holds lifted: the clock of preparation starts. Null: not yet.",
            nullable=True,
        ),
        "cancelled_at": c.instant("When the whole order was cancelled.", nullable=True),
        "cancel_reason": c.one_of(
            "Why, for a cancelled order.", "customer", "seller", "stock", "payment", nullable=True
        ),
        "status": c.one_of(
            "State, in our words.",
            "pending",
            "on_hold",
            "payable",
            "shipped",
            "delivered",
            "cancelled",
            "failed",
            "refunded",
        ),
        "currency_code": c.currency(),
        "total_minor": c.minor("What the buyer pays, VAT, shipping and fees included."),
        "tax_minor": c.minor("VAT in total_minor.", nullable=True),
        "shipping_minor": c.minor("Shipping, VAT included."),
        "fee_minor": c.minor("Fees and wrapping, VAT included; may be negative."),
        "discount_minor": c.minor(
            "Reduction on the whole order that the lines do not hold, VAT included.", c.not_negative
        ),
        "customer_external_id": c.code("The system's customer; null for a guest.", nullable=True),
        "email_token": c.token("Token of the buyer's e-mail."),
        "country_code": c.country("Country of delivery."),
        "fulfilment_method": c.one_of("How the buyer gets it.", "ship", "pickup", "carry_out"),
        "fulfilled_by": c.one_of("Who ships it.", "retailer", "marketplace", "dropship"),
        "promised_ship_by_at": c.instant("The channel's own promise of hand-over, if it gives one.", nullable=True),
        "available_from_at": c.instant("Announced date of a pre-order; the clock starts there.", nullable=True),
        "replaces_return_id": c.code(
            "Return that this order replaces goods of (exchange); no new sale.", nullable=True
        ),
        "tracking_number": c.code("Parcel number that the channel shows for the order; null: none.", nullable=True),
        "updated_at": c.instant("When the system last changed it.", nullable=True),
    },
)
