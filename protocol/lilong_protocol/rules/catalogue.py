"""The rules by the names that settings give them."""

from lilong_protocol.errors import RangeError
from lilong_protocol.portable import TYPE_CHECKING
from lilong_protocol.rules.parameters import Parameters

if TYPE_CHECKING:
    from typing import Any

    from lilong_protocol.rules import Rule

KINDS = ("contact", "limit", "silence", "slope")


def build_rule(kind: str, parameters: "Any") -> "Rule":
    """Return a rule that has seen nothing yet. RangeError names the key and says what to do."""
    checked = Parameters(parameters)
    rule = _build(kind, checked)
    checked.refuse_others()
    return rule


def _build(kind: str, parameters: Parameters) -> "Rule":
    # Only the kinds that are used are loaded: the code of the others takes no room on a node.
    if kind == "contact":
        from lilong_protocol.rules.contact import Contact  # noqa: PLC0415 - see above

        return Contact(parameters)
    if kind == "limit":
        from lilong_protocol.rules.limit import Limit  # noqa: PLC0415 - see above

        return Limit(parameters)
    if kind == "silence":
        from lilong_protocol.rules.silence import Silence  # noqa: PLC0415 - see above

        return Silence(parameters)
    if kind == "slope":
        from lilong_protocol.rules.slope import Slope  # noqa: PLC0415 - see above

        return Slope(parameters)
    raise RangeError("kind: " + repr(kind) + " is not one of " + ", ".join(KINDS))
