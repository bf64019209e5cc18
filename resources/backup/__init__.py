"""Backup and restore of everything a retailer's Étalon has learnt: `make` takes it, `restore` puts it back.

What is copied and in which order is in `plan`, how databases are copied in `databases`, the list of files in `inventory`.
"""

from resources.backup.inventory import Inventory, read_inventory
from resources.backup.restoring import restore_backup
from resources.backup.taking import Taken, take_backup

__all__ = ["Inventory", "Taken", "read_inventory", "restore_backup", "take_backup"]
