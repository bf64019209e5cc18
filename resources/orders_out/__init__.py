"""Orders that go out to a system as files: declared, validated, numbered, written whole, and sent once.

``declaration`` reads messages/<message>.yml; ``document`` makes and validates the XML; ``folder`` puts a file in the system's folder;
``exported`` is what the main job leaves for the transmission; ``transmission`` is one run of it. docs/orders.md is for users.
"""

from resources.orders_out.declaration import OutgoingMessage, load_messages
from resources.orders_out.exported import ExportedOrders, read_export, write_export
from resources.orders_out.folder import OutFolder
from resources.orders_out.transmission import TransmissionSummary, transmit

__all__ = [
    "ExportedOrders",
    "OutFolder",
    "OutgoingMessage",
    "TransmissionSummary",
    "load_messages",
    "read_export",
    "transmit",
    "write_export",
]
