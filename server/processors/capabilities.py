"""What a processor can take, and how it writes amounts.

Use cases call `require` before they write anything, adapters `to_wire` and `from_wire`.

Kassa's minor units are those of ISO 4217. A processor may write a currency with other decimals, or not be able to
express every amount: then the amount is refused, never rounded.
"""

from collections.abc import Mapping

from server.domain.errors import KassaError, Reason
from server.domain.payment import Method
from server.processors.contract import Capabilities, CurrencyRule

_WITHOUT_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"


def iso_exponent(currency: str) -> int:
    """Returns the decimals of a currency's minor unit: https://www.iso.org/iso-4217-currency-codes.html

    The table is ours on purpose: stored amounts must not change their meaning when a library is brought up to date.
    """
    return 0 if currency in _WITHOUT_DECIMALS.split() else 3 if currency in _THREE_DECIMALS.split() else 2


def currency_table(codes: str, exponents: Mapping[str, int], steps: Mapping[str, int]) -> Mapping[str, CurrencyRule]:
    """Makes a processor's currency table.

    Args:
        codes: ISO 4217 codes, separated by blanks.
        exponents: Decimals on the wire where they differ from ISO 4217.
        steps: Smallest step in our minor units where it is not what the exponent says.
    """
    return {
        code: CurrencyRule(
            exponent := exponents.get(code, iso_exponent(code)),
            steps.get(code, 10 ** max(0, iso_exponent(code) - exponent)),
        )
        for code in codes.split()
    }


def to_wire(rule: CurrencyRule, currency: str, amount: int) -> int:
    """Turns ISO 4217 minor units into units of the processor's exponent, exactly.

    Raises:
        ValueError: The processor cannot express it; `require` refuses it earlier, with words for the merchant.
    """
    if amount % rule.step:
        raise ValueError(f"{amount} {currency} (minor units) is no multiple of {rule.step}")
    shift = rule.exponent - iso_exponent(currency)
    if shift >= 0:
        return amount * int(10**shift)
    return amount // int(10**-shift)


def from_wire(rule: CurrencyRule, currency: str, amount: int) -> int:
    """Turns units of the processor's exponent into ISO 4217 minor units, exactly.

    Raises:
        ValueError: It has decimals that the currency does not know.
    """
    shift = iso_exponent(currency) - rule.exponent
    if shift >= 0:
        return amount * int(10**shift)
    whole, rest = divmod(amount, int(10**-shift))
    if rest:
        raise ValueError(f"{amount} with {rule.exponent} decimals is no amount of {currency}")
    return whole


def require(  # noqa: PLR0913  # what is checked is one request, named field by field
    capabilities: Capabilities, processor_name: str, method: Method, currency: str, amount: int, *, hold: bool
) -> None:
    """Refuses what the processor cannot do, before anything is written.

    Args:
        amount: Minor units (ISO 4217).
        hold: The funds shall be held for a later capture.

    Raises:
        KassaError: METHOD_NOT_SUPPORTED, CURRENCY_NOT_SUPPORTED or AMOUNT_NOT_REPRESENTABLE; the metadata lists what
            is possible.
    """
    rule = capabilities.methods.get(method)
    if rule is None:
        methods = [known.value for known in capabilities.methods]
        raise _refusal(Reason.METHOD_NOT_SUPPORTED, processor_name, method.value, "method", methods)
    if hold and not rule.holds:
        methods = [known.value for known, other in capabilities.methods.items() if other.holds]
        what = f"holding the funds of {method.value}"
        raise _refusal(Reason.METHOD_NOT_SUPPORTED, processor_name, what, "capture_method", methods)
    takes = capabilities.currencies.keys() & (rule.currencies or capabilities.currencies.keys())
    if currency not in takes:
        what = f"{currency} by {method.value}"
        raise _refusal(Reason.CURRENCY_NOT_SUPPORTED, processor_name, what, "currency", sorted(takes))
    step = capabilities.currencies[currency].step
    if amount % step:
        raise KassaError(
            Reason.AMOUNT_NOT_REPRESENTABLE,
            f"{processor_name} takes {currency} in steps of {step} minor units; {amount} is none.",
            metadata={"processor": processor_name, "currency": currency, "step": str(step)},
            field="amount",
        )


def _refusal(reason: Reason, processor_name: str, what: str, field: str, supported: list[str]) -> KassaError:
    """Says what cannot be done, and what can."""
    plural = {"method": "methods", "capture_method": "methods", "currency": "currencies"}[field]
    return KassaError(
        reason,
        f"{processor_name} does not support {what}; it supports {', '.join(supported) or 'none'}.",
        metadata={"processor": processor_name, f"supported_{plural}": ",".join(supported)},
        field=field,
    )
