"""Settings: what is missing or wrong is named, and no value is ever shown."""

import base64
from decimal import Decimal
from pathlib import Path

import pytest

from server.settings import MigrationSettings, Settings, SettingsError, load

KEY = base64.b64encode(b"k" * 32).decode()
DSN = "postgresql+psycopg2://kassa:hunter2@127.0.0.1/kassa"
NEEDED = {"DATABASE_URL": DSN, "DATABASE_READER_URL": DSN, "SECRET_KEY": "s" * 32, "ENCRYPTION_KEY": KEY}


def read(monkeypatch: pytest.MonkeyPatch, **changes: str | None) -> Settings:
    """Loads settings from the needed variables and these."""
    for name, value in (NEEDED | changes).items():
        if value is not None:
            monkeypatch.setenv(f"KASSA_{name}", value)
    return load(Settings)


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(SettingsError, match=f"^KASSA_{name}: "):
        read(monkeypatch, **{name: None})


BAD = [
    ("DATABASE_URL", "postgresql://kassa:hunter2@127.0.0.1/kassa"),
    ("SECRET_KEY", "hunter2"),
    ("ENCRYPTION_KEY", "hunter2"),
    ("ENCRYPTION_KEY", base64.b64encode(b"hunter2").decode()),
    ("ENCRYPTION_KEYS_RETIRED", f"{KEY},hunter2"),
    ("LISTEN", "hunter2"),
    ("LOG_LEVEL", "hunter2"),
    ("RULES_PATH", "/hunter2"),
    ("BIN_TABLE_PATH", "/hunter2"),
    ("IP_TABLE_PATH", "/hunter2"),
    ("MAX_DAILY_TRANSACTIONS", "0"),
    ("FRAUD_THRESHOLD", "0.8001"),
    ("FRAUD_THRESHOLD", "1.1"),
    ("DEFAULT_CURRENCY", "hunter2"),
    ("SUPPORTED_CURRENCIES", "USD,hunter2"),
    ("STRIPE_API_BASE", "hunter2"),
    ("DATABASE_WRITERS", "0"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_wrong_variable_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^KASSA_{name}: ") as caught:
        read(monkeypatch, **{name: value})
    assert "hunter2" not in f"{caught.value} {caught.value.__context__}" and caught.value.__cause__ is None


CONTRADICTIONS = [
    ({"CLOCK_OFFSET_FILE": "/tmp/offset", "PLATFORM_TEST_MODE": "false"}, "KASSA_CLOCK_OFFSET_FILE"),
    ({"STRIPE_SECRET_KEY": "sk_test_1"}, "KASSA_STRIPE_WEBHOOK_SECRET"),
    ({"PAYPAL_CLIENT_ID": "id", "PAYPAL_WEBHOOK_ID": "w"}, "KASSA_PAYPAL_CLIENT_SECRET"),
    ({"STRIPE_SECRET_KEY": "sk_live_1", "STRIPE_WEBHOOK_SECRET": "w"}, "KASSA_PLATFORM_TEST_MODE"),
    (
        {"STRIPE_SECRET_KEY": "rk_test_1", "STRIPE_WEBHOOK_SECRET": "w", "PLATFORM_TEST_MODE": "false"},
        "KASSA_PLATFORM_TEST_MODE",
    ),
    ({"DRAIN_GRACE_S": "20"}, "KASSA_DRAIN_GRACE_S"),
    ({"SUPPORTED_CURRENCIES": "EUR"}, "KASSA_DEFAULT_CURRENCY"),
    ({"CRASH_POINTS_FILE": "/orders.json", "PLATFORM_TEST_MODE": "false"}, "KASSA_CRASH_POINTS_FILE"),
]


@pytest.mark.parametrize(("changes", "named"), CONTRADICTIONS)
def test_what_does_not_go_together_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        read(monkeypatch, **changes)


def test_lists_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, SUPPORTED_CURRENCIES="USD, EUR,", PAYPAL_CERTIFICATE_HOSTS="127.0.0.1:9, api.example")
    assert settings.supported_currencies == ("USD", "EUR")
    assert settings.paypal_certificate_hosts == ("127.0.0.1:9", "api.example")


def test_an_empty_variable_is_an_absent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, STRIPE_SECRET_KEY="", FRAUD_THRESHOLD="", SUPPORTED_CURRENCIES="")
    assert settings.stripe_secret_key is None and settings.fraud_threshold is None
    assert settings.supported_currencies == ()


def test_the_threshold_is_exact(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert read(monkeypatch, FRAUD_THRESHOLD="0.85").fraud_threshold == Decimal("0.85")


def test_settings_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, STRIPE_SECRET_KEY="sk_test_1", STRIPE_WEBHOOK_SECRET="whsec_1")
    shown = f"{settings!r} {settings.model_dump_json()}"
    assert not any(secret in shown for secret in ("hunter2", "sk_test_1", "whsec_1", KEY, "s" * 32))


def test_migrating_needs_the_databases_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "DATABASE_READER_URL", "DATABASE_OWNER_URL"):
        monkeypatch.setenv(f"KASSA_{name}", DSN)
    assert load(MigrationSettings).database_owner_url.get_secret_value() == DSN


@pytest.mark.parametrize("kind", [Settings, MigrationSettings])
def test_every_setting_says_what_it_is(kind: type[Settings]) -> None:
    assert [name for name, field in kind.model_fields.items() if not field.description] == []
