"""Words of the vocabulary that must be looked up among earlier payments; that is done where a rule names one."""

from collections.abc import Mapping, Set
from types import MappingProxyType

from server.domain.velocity import Counted, Velocity

_AGE = Velocity("customer_age_seconds", "seconds_since_first", "payments", "customer", None)
_NEW = Velocity("customer_is_new", "first_seen", "payments", "customer", None)
_QUESTIONS: Mapping[str, tuple[Velocity, ...]] = MappingProxyType(
    {"customer_age_days": (_AGE, _NEW), "customer_is_new": (_NEW,)}
)
_DAY_S = 86_400


def customer_questions(asked: Set[str]) -> tuple[Velocity, ...]:
    """Returns what must be read so that `customer_facts` can tell the facts that rules mention.

    Args:
        asked: Their names.
    """
    wanted = (question for name, questions in _QUESTIONS.items() if name in asked for question in questions)
    return tuple(dict.fromkeys(wanted))


def customer_facts(asked: Set[str], counted: Counted) -> dict[str, int | bool | str]:
    """Returns the customer's history as facts, nothing where the payment names no customer.

    A customer who pays for the first time is 0 days old.
    """
    new, age = counted.get(_NEW.name), counted.get(_AGE.name)
    facts: dict[str, int | bool | str] = {}
    if isinstance(new, bool):
        facts[_NEW.name] = new
        if "customer_age_days" in asked:
            facts["customer_age_days"] = age // _DAY_S if isinstance(age, int) else 0
    return facts
