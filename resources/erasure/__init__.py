"""Taking one person out of everything that Étalon keeps, and proving it (GDPR, article 17).

Who the person is, in tokens, values and numbers: `person`. How received payloads lose them: `payloads`. The steps: `erasing`.
The proof, which shares no code with the steps: `proof`.
"""

from resources.erasure.erasing import Erasure, erase
from resources.erasure.person import Person, find_person
from resources.erasure.proof import Trace, find_traces

__all__ = ["Erasure", "Person", "Trace", "erase", "find_person", "find_traces"]
