"""Makes payments that never were, with planted fraud, as input of a backtest: `python -m bench.payments out.csv`.

The same count, seed and days always make the same bytes. Trade follows the hours of the day and the days of the week; a
customer has a home merchant, a card, a device and an address. Two in a hundred payments belong to the patterns of
`patterns`. Labels are as one has them: what was charged back or warned of is fraud, what was not is legit once it is a
month old, and of most of what was declined, blocked or paid lately nobody knows.
"""

import csv
import heapq
from collections.abc import Iterator
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from random import Random
from typing import Annotated, Final

import typer

from bench.patterns import CAMPAIGNS
from bench.people import MERCHANTS, Customer, draw_customers
from bench.rows import Row, row_of

START: Final = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
_DAY: Final = 86_400.0
_HOURS: Final = (3, 2, 1, 1, 1, 2, 4, 6, 8, 9, 10, 10, 10, 9, 9, 9, 9, 10, 11, 12, 12, 11, 8, 5)
_SUNDAY: Final = 3  # 2026-01-01 is a Thursday
_RIPE: Final = 30 * _DAY
_HEADER: Final = (
    "time", "payment_id", "merchant", "amount", "currency", "method", "customer", "customer_age_days",
    "customer_is_new", "email", "ip", "ip_country", "ip_is_proxy", "device", "card", "bin", "card_brand",
    "card_country", "card_funding", "card_months_left", "card_checksum_ok", "holder_name", "billing_country",
    "billing_postcode", "shipping_country", "shipping_address", "cvc_check", "avs_postcode", "approved", "declined",
    "decline_code", "blocked", "refunded_at", "disputed_at", "early_fraud_warning_at", "label",
)  # fmt: skip


def rows(count: int, seed: int, days: int) -> Iterator[Row]:
    """Yields payments in the order of time, planted ones among them."""
    random = Random(seed)
    customers = draw_customers(random, max(40, count // 8))
    planted = _planted(random, customers, count, days)
    return heapq.merge(_ordinary(random, customers, count - len(planted), days), planted, key=lambda row: row.at)


def write(path: Path, count: int, seed: int, days: int) -> None:
    """Writes a CSV file; its columns are those that `kassa rules backtest` reads."""
    outcomes = Random(seed + 1)
    end = START + days * _DAY
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_HEADER)
        writer.writerows(_cells(outcomes, number, row, end) for number, row in enumerate(rows(count, seed, days)))


def _ordinary(random: Random, customers: list[Customer], count: int, days: int) -> Iterator[Row]:
    """Each hour has its share of the payments, less at night and on Sundays; early customers buy more often."""
    weights = [_HOURS[hour % 24] * (0.8 if (hour // 24) % 7 == _SUNDAY else 1.0) for hour in range(days * 24)]
    whole, done, before = sum(weights), 0, 0.0
    shops, sizes = MERCHANTS, [merchant.weight for merchant in MERCHANTS]
    for hour, weight in enumerate(weights):
        before += weight
        here, done = round(count * before / whole) - done, round(count * before / whole)
        for at in sorted(START + (hour + random.random()) * 3_600 for _ in range(here)):
            who = customers[int(random.random() ** 1.6 * len(customers))]
            shop = who.merchant if random.random() < 0.85 else random.choices(shops, sizes)[0]
            yield row_of(random, who, shop, at, max(50, int(shop.median * random.lognormvariate(0, shop.spread))))


def _planted(random: Random, customers: list[Customer], count: int, days: int) -> list[Row]:
    found: list[Row] = []
    for campaign, share, size in CAMPAIGNS:
        for _ in range(ceil(count * share / size)):
            found += campaign(random, customers, START + random.uniform(0.02, 0.9) * days * _DAY)
    found = [row for row in found if row.at < START + days * _DAY]
    found.sort(key=lambda row: row.at)
    return found[: count // 2]


def _cells(random: Random, number: int, row: Row, end: float) -> tuple[object, ...]:
    """Settles what became of the payment later, and what is known of it at the end."""
    draw = random.random()
    refunded, warned, disputed, label = row.refunded_at, None, None, ""
    friendly = not row.fraud and row.approved and draw < 0.0012
    if friendly or (row.approved and row.fraud and row.fraud != "refund_abuse"):
        warned = row.at + (1 + 9 * random.random()) * _DAY if random.random() < 0.6 else None
        disputed = row.at + (4 + 40 * random.random()) * _DAY if random.random() < 0.85 else None
        label = "fraud" if min(warned or end, disputed or end) < end else ""
    elif row.fraud:
        label = "fraud" if row.fraud == "refund_abuse" or draw < 0.3 else ""
    elif row.approved:
        label = "legit" if draw < (0.97 if row.at < end - _RIPE else 0.1) else ""
    if refunded is None and row.approved and not row.fraud and 0.1 < draw < 0.14:
        refunded = row.at + (0.2 + 14 * random.random()) * _DAY
    return (
        _time(row.at), f"pay_{number:08}", row.merchant, row.amount, row.currency, "credit_card", row.customer,
        row.customer_age_days, row.customer_is_new, row.email, row.ip, row.ip_country, row.ip_is_proxy, row.device,
        row.card, row.bin, row.card_brand, row.card_country, row.card_funding, row.card_months_left,
        row.card_checksum_ok, row.holder_name, row.billing_country, row.billing_postcode, row.shipping_country,
        row.shipping_address, "" if row.blocked else row.cvc_check, "" if row.blocked else row.avs_postcode,
        row.approved, not row.approved and not row.blocked, "" if row.blocked else row.decline_code, row.blocked,
        _later(refunded, end), _later(disputed, end), _later(warned, end), label,
    )  # fmt: skip


def _later(at: float | None, end: float) -> str:
    """What lies after the end of the data has not happened yet."""
    return _time(at) if at is not None and at < end else ""


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def main(
    out: Annotated[Path, typer.Argument(help="The CSV file to write.")],
    count: Annotated[int, typer.Option(help="How many payments.", min=1)] = 100_000,
    seed: Annotated[int, typer.Option(help="Another seed makes other payments.")] = 7,
    days: Annotated[int, typer.Option(help="Over how many days, from 2026-01-01 on.", min=1)] = 90,
) -> None:
    """Write a file of payments with planted card testing, BIN attacks, takeovers, refund abuse and triangulation."""
    write(out, count, seed, days)


if __name__ == "__main__":
    typer.run(main)
