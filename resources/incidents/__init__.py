"""Incidents: what is wrong now, told from the operations store alone.

Each detector is one function in one of the modules here, known by `@detector`; `detecting` runs them, `refreshing` turns what they
find into incidents. A new kind of trouble is one more function (and a line in docs/incidents.md); nothing else has to change.
"""

from resources.incidents.detecting import detect, kinds
from resources.incidents.facts import Facts
from resources.incidents.refreshing import refresh_incidents

__all__ = ["Facts", "detect", "kinds", "refresh_incidents"]
