"""Canonical entities: the one shape of each business fact, declared once as pandera contracts.

One file per entity, holding one module-level ``ENTITY``. Units and PII are marked on the columns.
"""

from resources.contracts.pandera_alone import import_pandera

import_pandera()
