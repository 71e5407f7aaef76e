"""Gates: the release graph's knowledge, judged for a site.

`judge` says what of a path's actions applies to a site record. Conditions are Jinja expressions (`language.py`) over
names that the record answers (`names.py`, `world.py`), with three answers: yes, no, unknown.
"""

from upgrader.gates.faults import condition_faults
from upgrader.gates.judge import judge, judge_action, variables_needed
from upgrader.gates.language import Condition, Judged, NotAConditionError, compile_condition
from upgrader.gates.names import Names
from upgrader.gates.world import World

__all__ = [
    "Condition",
    "Judged",
    "Names",
    "NotAConditionError",
    "World",
    "compile_condition",
    "condition_faults",
    "judge",
    "judge_action",
    "variables_needed",
]
