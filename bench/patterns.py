"""Planted fraud: campaigns of thieves, each a few hours to weeks long. Called by `payments`, which mixes them in.

- Card testing: one address and device try hundreds of stolen cards for small amounts; most are declined.
- BIN attack: the same with numbers made up within one BIN, from many addresses; nearly all fail the security code.
- Account takeover: a customer of long standing pays large amounts, from a new device, country and to a new address.
- Refund abuse: a customer buys and returns again and again, and keeps the goods.
- Triangulation: a thief's shop passes on real people's orders, paid with stolen cards; names and addresses differ.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

from bench.people import MERCHANTS, Customer, Merchant, draw_bin, draw_ip
from bench.rows import Row, row_of

_DAY = 86_400.0
Campaign = Callable[[Random, Sequence[Customer], float], Iterator[Row]]


def card_testing(random: Random, customers: Sequence[Customer], start: float) -> Iterator[Row]:
    """60 to 300 cards within an hour or two, a fifth of them good."""
    shop, device, country = _shop(random, digital=True), _device(random), random.choice(("BR", "VN", "RU", "US"))
    addresses = [draw_ip(random, country) for _ in range(random.randrange(1, 4))]
    for _ in range(random.randrange(60, 300)):
        start += random.expovariate(1 / 25)
        row = _stolen(random, random.choice(customers), shop, start, "card_testing")
        good = random.random() < 0.2
        yield replace(
            row, amount=random.randrange(50, 300), device=device, ip=random.choice(addresses), ip_country=country,
            ip_is_proxy=random.random() < 0.5, cvc_check="pass" if good else "fail", approved=good,
            decline_code="" if good else random.choice(("incorrect_cvc", "stolen_card", "do_not_honor")),
            blocked=not good and random.random() < 0.1,
        )  # fmt: skip


def bin_attack(random: Random, customers: Sequence[Customer], start: float) -> Iterator[Row]:
    """200 to 800 numbers of one BIN within some hours; one in thirty exists."""
    shop, country = _shop(random, digital=False), random.choice(("US", "GB", "DE"))
    brand, bin_ = draw_bin(random, country)
    devices = [_device(random) for _ in range(8)]
    for _ in range(random.randrange(200, 800)):
        start += random.expovariate(1 / 40)
        row = _stolen(random, random.choice(customers), shop, start, "bin_attack")
        good = random.random() < 1 / 30
        yield replace(
            row, amount=random.randrange(100, 1_500), card=_card(random), bin=bin_, card_brand=brand,
            card_country=country, device=random.choice(devices), ip=draw_ip(random, random.choice(("US", "BR", "IN"))),
            ip_is_proxy=random.random() < 0.7, card_checksum_ok=random.random() < 0.97, approved=good,
            cvc_check="pass" if good else "fail", decline_code="" if good else "incorrect_number",
        )  # fmt: skip


def account_takeover(random: Random, customers: Sequence[Customer], start: float) -> Iterator[Row]:
    """Three to ten large payments of one customer within a night."""
    owner = random.choice(customers)
    device, country = _device(random), random.choice(("NG", "RO", "VN", "US", "BR"))
    address = f"{random.randrange(1, 99)} harbour road, {country.lower()}"
    start -= start % _DAY - random.uniform(0, 5 * 3_600)
    for _ in range(random.randrange(3, 11)):
        start += random.expovariate(1 / 600)
        row = row_of(random, owner, owner.merchant, start, int(owner.merchant.median * random.uniform(3, 12)))
        good = random.random() < 0.75
        yield replace(
            row, device=device, ip=draw_ip(random, country), ip_country=country, shipping_country=country,
            shipping_address=address, approved=good, decline_code="" if good else "do_not_honor",
            customer_age_days=max(owner.since, 90), customer_is_new=False, fraud="account_takeover",
        )  # fmt: skip


def refund_abuse(random: Random, customers: Sequence[Customer], start: float) -> Iterator[Row]:
    """Eight to twenty-five purchases over three weeks, nearly all of them returned within days."""
    abuser = random.choice(customers)
    for _ in range(random.randrange(8, 26)):
        start += random.expovariate(1 / (0.9 * _DAY))
        row = row_of(random, abuser, abuser.merchant, start, int(abuser.merchant.median * random.uniform(1.5, 4)))
        returned = start + random.uniform(1, 6) * _DAY if random.random() < 0.85 else None
        yield replace(row, approved=True, decline_code="", refunded_at=returned, fraud="refund_abuse")


def triangulation(random: Random, customers: Sequence[Customer], start: float) -> Iterator[Row]:
    """20 to 80 orders over ten days through one account, each with another stolen card and another parcel address."""
    shop, seller = _shop(random, digital=False), f"cus_x{random.getrandbits(32):08x}"
    devices, mail = [_device(random), _device(random)], f"orders{random.randrange(1_000)}@mail.example"
    for _ in range(random.randrange(20, 80)):
        start += random.expovariate(1 / (3 * 3_600))
        victim, buyer = random.choice(customers), random.choice(customers)
        row = _stolen(random, victim, shop, start, "triangulation")
        good = random.random() < 0.7
        yield replace(
            row, amount=int(shop.median * random.uniform(0.8, 3)), customer=seller, email=mail,
            device=random.choice(devices), shipping_country=buyer.country, approved=good,
            shipping_address=f"{buyer.street}, {buyer.postcode}, {buyer.country.lower()}",
            decline_code="" if good else "do_not_honor",
        )  # fmt: skip


CAMPAIGNS: Sequence[tuple[Campaign, float, int]] = (
    (card_testing, 0.006, 180),
    (bin_attack, 0.005, 500),
    (account_takeover, 0.003, 6),
    (refund_abuse, 0.003, 16),
    (triangulation, 0.003, 50),
)
"""Each campaign with its share of all payments and how many payments one of its kind makes on average."""


def _stolen(random: Random, owner: Customer, shop: Merchant, at: float, pattern: str) -> Row:
    """A payment with somebody's card by somebody without a past."""
    row = row_of(random, owner, shop, at, shop.median)
    return replace(
        row, customer=f"cus_n{random.getrandbits(40):010x}", email=f"{random.getrandbits(40):010x}@mail.example",
        customer_age_days=0, customer_is_new=True, avs_postcode="fail" if random.random() < 0.7 else "pass",
        fraud=pattern,
    )  # fmt: skip


def _shop(random: Random, *, digital: bool) -> Merchant:
    return random.choice([merchant for merchant in MERCHANTS if merchant.digital is digital])


def _device(random: Random) -> str:
    return f"dev_{random.getrandbits(48):012x}"


def _card(random: Random) -> str:
    return f"card_{random.getrandbits(64):016x}"
