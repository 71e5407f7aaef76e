"""The base of every frozen value: declared like a pydantic model, checked at once, explained by pydantic.

Most runs only build values that are sound. Those are checked here in plain Python, against the same annotations, so
that a plan does not wait for pydantic (0.2 s). Whatever this quick check does not accept goes to pydantic, which has
the last word and the words for what is wrong. Owns no shape of its own.
"""

from upgrader.value.base import NOTHING, Value, named
from upgrader.value.marks import AtLeast, Lenient, Pattern, Sealed

__all__ = ["NOTHING", "AtLeast", "Lenient", "Pattern", "Sealed", "Value", "named"]
