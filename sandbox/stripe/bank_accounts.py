"""Stripe's test bank accounts with their published meaning; `payment_methods` looks them up.

https://docs.stripe.com/payments/ach-direct-debit/accept-a-payment#test-account-numbers,
https://docs.stripe.com/payments/sepa-debit/accept-a-payment#test-integration
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class TestBankAccount:
    """A test account: `failure` is the code that the debit fails with, or empty; `stuck` never settles."""

    __test__ = False  # For pytest, which collects by name.

    token: str
    number: str
    failure: str = ""
    dispute: str = ""
    stuck: bool = False


FAILURES: Final = {
    "account_closed": "The customer's bank account has been closed.",
    "no_account": "The customer's bank account could not be located.",
    "insufficient_funds": "The customer's account has insufficient funds to cover this payment.",
    "debit_not_authorized": "The customer has notified their bank that this payment was unauthorized.",
    "invalid_currency": "The bank was unable to process this payment because of its currency.",
    "generic_decline": "The bank has declined this payment.",
}
_ACH: Final = (
    TestBankAccount("pm_usBankAccount_success", "000123456789"),
    TestBankAccount("pm_usBankAccount_accountClosed", "000111111113", "account_closed"),
    TestBankAccount("pm_usBankAccount_noAccount", "000111111116", "no_account"),
    TestBankAccount("pm_usBankAccount_insufficientFunds", "000222222227", "insufficient_funds"),
    TestBankAccount("pm_usBankAccount_debitNotAuthorized", "000333333335", "debit_not_authorized"),
    TestBankAccount("pm_usBankAccount_invalidCurrency", "000444444440", "invalid_currency"),
    TestBankAccount("pm_usBankAccount_processing", "000000000009", stuck=True),
    TestBankAccount("pm_usBankAccount_dispute", "000555555559", dispute="fraudulent"),
)
_SEPA: Final = (
    TestBankAccount("sepa_success", "AT611904300234573201"),
    TestBankAccount("sepa_success_germany", "DE89370400440532013000"),
    TestBankAccount("sepa_failure", "AT861904300235473202", "generic_decline"),
    TestBankAccount("sepa_failure_germany", "DE62370400440532013001", "generic_decline"),
    TestBankAccount("sepa_insufficient_funds", "AT981904300000343434", "insufficient_funds"),
    TestBankAccount("sepa_dispute", "AT591904300235473203", dispute="fraudulent"),
)
BY_TOKEN: Final = {account.token: account for account in (*_ACH, *_SEPA)}
BY_NUMBER: Final = {account.number: account for account in (*_ACH, *_SEPA)}
