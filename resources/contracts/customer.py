"""Contract of the canonical entity `customer`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "customer",
    "A customer as one system knows them; personal values are tokens. Grain: one row per system and customer.",
    keys=("customer_external_id",),
    fields={
        "customer_external_id": c.code("The system's id."),
        "email_token": c.token("Token of the e-mail, lower case."),
        "phone_token": c.token("Token of the phone, digits only."),
        "name_token": c.token("Token of the full name, folded."),
        "country_code": c.country("Country."),
        "is_guest": c.flag("Whether the shop has no account for them."),
        "created_at": c.instant("When the system first knew them.", nullable=True),
        "updated_at": c.instant("When the system last changed it.", nullable=True),
    },
)
