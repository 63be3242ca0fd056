"""The only reader of the environment: every setting by name, unit and default. Called by `cli` and `bootstrap`.

Variables carry the prefix `KASSA_`; lists are separated by commas. Nothing here is ever shown with a value, since a DSN
holds a password as well as a key does.
"""

import base64
import binascii
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "KASSA_"
ENCRYPTION_KEY_BYTES = 32
_DATABASE_SCHEME = "postgresql+psycopg2://"

S = TypeVar("S", bound=BaseSettings)


class LogLevel(StrEnum):
    """From which severity on a line is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class ReviewDefault(StrEnum):
    """What happens at the deadline of a review."""

    REJECT = "reject"
    APPROVE = "approve"


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _check_database_url(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(_DATABASE_SCHEME):
        raise ValueError(f"must begin with {_DATABASE_SCHEME}")
    return value


def _check_encryption_key(value: SecretStr) -> SecretStr:
    try:
        size = len(base64.b64decode(value.get_secret_value(), validate=True))
    except binascii.Error:
        raise ValueError("must be base64") from None
    if size != ENCRYPTION_KEY_BYTES:
        raise ValueError(f"must be {ENCRYPTION_KEY_BYTES} bytes in base64, but has {size}")
    return value


DatabaseUrl = Annotated[SecretStr, AfterValidator(_check_database_url)]
EncryptionKey = Annotated[SecretStr, AfterValidator(_check_encryption_key)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
Currencies = Annotated[tuple[Currency, ...], NoDecode, BeforeValidator(_split)]


class _Environment(BaseSettings):
    # An empty variable counts as absent: docker compose passes `KASSA_X=${X:-}` so.
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, hide_input_in_errors=True, extra="forbid"
    )


class DatabaseSettings(_Environment):
    """The roles that servers and workers connect as."""

    database_url: DatabaseUrl = Field(description="DSN of the writer role, which owns nothing")
    database_reader_url: DatabaseUrl = Field(description="DSN of the role that may only read")


class MigrationSettings(DatabaseSettings):
    """What `kassa migrate` needs. Servers never get the owner's DSN: it could rewrite the ledger."""

    database_owner_url: DatabaseUrl = Field(description="DSN of the role that owns the tables and makes the others")


class Settings(DatabaseSettings):
    """What servers and workers need."""

    listen: str = Field(
        default="127.0.0.1:50051",
        pattern=r":\d{1,5}$",
        description="host:port of the gRPC server; port 0 takes a free one",
    )
    metrics_listen: str | None = Field(
        default=None,
        pattern=r":\d{1,5}$",
        description="host:port where Prometheus reads /metrics; absent: nowhere. It needs no key, so keep it inside",
    )
    log_level: LogLevel = Field(default=LogLevel.INFO, description="From which severity on a line is logged")

    secret_key: SecretStr = Field(
        min_length=32,
        description="Root of the keys that hash API keys, card numbers, requests and page tokens; changing it "
        "invalidates every API key",
    )
    encryption_key: EncryptionKey = Field(
        description="32 bytes in base64: encrypts the credentials of processor accounts"
    )
    encryption_keys_retired: Annotated[tuple[EncryptionKey, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(), description="Former encryption keys, which still decrypt, separated by commas"
    )

    platform_test_mode: bool = Field(
        default=True,
        description="Whether the processor accounts below are test accounts, which serve test merchants alone; "
        "live ones serve live merchants alone",
    )
    stripe_secret_key: SecretStr | None = Field(default=None, description="The platform's own Stripe account: API key")
    stripe_webhook_secret: SecretStr | None = Field(default=None, description="Signing secret of its webhook endpoint")
    stripe_api_base: str | None = Field(
        default=None, pattern="^https?://", description="Another endpoint than Stripe's own, for test accounts alone"
    )
    paypal_client_id: SecretStr | None = Field(default=None, description="The platform's own PayPal app: client id")
    paypal_client_secret: SecretStr | None = Field(default=None, description="Its secret")
    paypal_webhook_id: str | None = Field(default=None, description="Id of its webhook, part of what PayPal signs")
    paypal_api_base: str | None = Field(
        default=None, pattern="^https?://", description="Another endpoint than PayPal's own, for test accounts alone"
    )
    paypal_trust_anchor: FilePath | None = Field(
        default=None, description="PEM file of the CA that issues webhook certificates to test accounts"
    )
    paypal_certificate_hosts: Names = Field(
        default=(), description="host or host:port that test accounts may fetch webhook certificates from"
    )

    rules_path: FilePath | None = Field(
        default=None,
        description="Fraud rule file, whose edits are released to every server; absent: the packaged default rules",
    )
    fraud_threshold: Decimal | None = Field(
        default=None,
        gt=0,
        le=1,
        decimal_places=3,
        description="Replaces the rule file's own `block` threshold (0.8 in the packaged rules); reaching it blocks",
    )

    bin_table_path: FilePath | None = Field(
        default=None, description="CSV table of BINs; absent: a sample that knows test cards alone"
    )
    ip_table_path: FilePath | None = Field(
        default=None, description="CSV table of networks; absent: a sample that knows documentation's networks alone"
    )
    max_daily_transactions: int | None = Field(
        default=None,
        ge=1,
        le=2_000_000_000,
        description="Payments that a merchant may open on a day of its time zone, unless it has a limit of its own; "
        "absent: no limit",
    )

    default_currency: Currency = Field(default="USD", description="ISO 4217; of merchants that name none")
    supported_currencies: Currencies = Field(
        default=(), description="ISO 4217 codes that payments may use; empty: all that the processor takes"
    )

    processor_deadline_s: float = Field(
        default=20.0, gt=0, le=60, description="Seconds that one call to a processor may take"
    )
    lease_margin_s: float = Field(
        default=10.0,
        gt=0,
        description="Seconds by which a lease on a transaction outlives the processor deadline, so that nobody takes "
        "over an attempt that still runs; recovery looks after that",
    )
    authorization_lifetime_h: float | None = Field(
        default=None,
        gt=0,
        description="Hours after which funds that nobody has captured are released; absent, or more than that: a day "
        "before the processor lets them go",
    )
    approval_lifetime_h: float = Field(
        default=24.0, gt=0, description="Hours after which a payment is called off that its customer has not approved"
    )
    review_deadline_h: float = Field(
        default=24.0,
        gt=0,
        description="Hours that people have to decide a payment in review; less where its hold ends before that",
    )
    review_default: ReviewDefault = Field(
        default=ReviewDefault.REJECT,
        description="What becomes of a payment that nobody has decided in time: reject releases it, approve captures "
        "it, or leaves it to its merchant",
    )
    drain_grace_s: float = Field(
        default=25.0, gt=0, description="Seconds that calls in flight get on SIGTERM; more than the processor deadline"
    )
    drain_pause_s: float = Field(
        default=3.0,
        ge=0,
        description="Seconds between telling health checks that the server stops and refusing calls; longer than Envoy "
        "needs to notice",
    )
    clock_offset_file: Path | None = Field(
        default=None, description="File that says by how many seconds the clock is off; for tests, in test mode alone"
    )
    database_writers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Threads, each with a connection, that commit batches; more of them make smaller batches, and pay "
        "only where a commit takes long, as with a synchronous standby far away",
    )
    database_readers: int = Field(default=8, ge=1, le=256, description="Threads, each with a connection, that read")

    crash_points_file: Path | None = Field(
        default=None,
        description="For tests alone, never with live accounts: a file that orders this process to kill itself at a "
        "named point of its work",
    )

    @model_validator(mode="after")
    def _check_together(self) -> "Settings":
        _all_or_none(self, "stripe_secret_key", "stripe_webhook_secret")
        _all_or_none(self, "paypal_client_id", "paypal_client_secret", "paypal_webhook_id")
        if self.drain_grace_s <= self.processor_deadline_s:
            raise ValueError(f"{PREFIX}DRAIN_GRACE_S must be more than {PREFIX}PROCESSOR_DEADLINE_S")
        if self.supported_currencies and self.default_currency not in self.supported_currencies:
            raise ValueError(f"{PREFIX}DEFAULT_CURRENCY must be one of {PREFIX}SUPPORTED_CURRENCIES")
        if self.crash_points_file is not None and not self.platform_test_mode:
            raise ValueError(f"{PREFIX}CRASH_POINTS_FILE is for test accounts alone")
        if self.clock_offset_file is not None and not self.platform_test_mode:
            raise ValueError(f"{PREFIX}CLOCK_OFFSET_FILE may not be set unless {PREFIX}PLATFORM_TEST_MODE is")
        self._check_stripe_mode()
        return self

    def _check_stripe_mode(self) -> None:
        """Real money must not move because a variable was forgotten: Stripe's keys tell their mode."""
        if self.stripe_secret_key is None:
            return
        wrong = "_live_" if self.platform_test_mode else "_test_"
        if wrong in self.stripe_secret_key.get_secret_value()[:16]:
            raise ValueError(f"{PREFIX}STRIPE_SECRET_KEY is of the other mode than {PREFIX}PLATFORM_TEST_MODE says")


class SettingsError(Exception):
    """The environment is incomplete or wrong. Its text names each variable and no value."""


def load(kind: type[S]) -> S:
    """Reads settings from the environment.

    Raises:
        SettingsError: A line for each variable at fault.
    """
    try:
        return kind()
    except ValidationError as error:
        lines = (_describe(item["loc"], item["msg"]) for item in error.errors(include_input=False, include_url=False))
        raise SettingsError("\n".join(lines)) from None


def _describe(location: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{PREFIX}{str(location[0]).upper()}: {message}" if location else message


def _all_or_none(settings: Settings, *names: str) -> None:
    missing = [f"{PREFIX}{name.upper()}" for name in names if getattr(settings, name) is None]
    if missing and len(missing) < len(names):
        raise ValueError(f"{', '.join(missing)} must be set with the others of the same account")
