"""Files of payments: what is read out of them, and what is said of those that are not sound."""

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from fraud_rules import VOCABULARY
from fraud_rules.backtest import DataError, Label, Payment, source_of
from fraud_rules.backtest.payments import moment_of
from fraud_rules.facts import Fact, Kind
from fraud_rules.metadata import MetadataType, metadata_word
from tests.fraud_rules.backtest.datafiles import row, write_csv


def read(path: Path, *needed: str, words: dict[str, Fact] | None = None, label: str = "label") -> list[Payment]:
    opened = source_of(path, label).open({**VOCABULARY, **(words or {})}, needed, None)
    return list(opened.payments(lambda share: None))


def complaint(path: Path, *needed: str, label: str = "label") -> str:
    with pytest.raises(DataError) as caught:
        read(path, *needed, label=label)
    return str(caught.value)


def csv_of(folder: Path, text: str | bytes) -> Path:
    path = folder / "payments.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_facts_come_in_the_type_and_case_in_which_rules_see_them(tmp_path: Path) -> None:
    cells = {
        "email": "A@X.org",
        "card_country": "de",
        "cvc_given": "True",
        "hour": 7,
        "card": "Ab",
        "ip": "2001:DB8::1",
    }
    [payment] = read(write_csv(tmp_path, [row(0, **cells)]), *cells)
    assert payment.facts == {
        "amount": 10_000,
        "currency": "USD",
        "email": "a@x.org",
        "card_country": "DE",
        "cvc_given": True,
        "hour": 7,
        "card": "Ab",
        "ip": "2001:db8::1",
    }


def test_outcomes_and_labels_are_read(tmp_path: Path) -> None:
    cells = {
        "approved": "true", "declined": "0", "blocked": "", "refunded_at": "2026-03-02T00:00:00Z",
        "refunded_amount": 5, "disputed_at": "2026-03-03T01:00:00+01:00", "early_fraud_warning_at": "",
        "cvc_check": "PASS", "label": "Fraud", "merchant": "mer_1",
    }  # fmt: skip
    [payment] = read(write_csv(tmp_path, [row(0, **cells)]), "merchant")
    assert (payment.approved, payment.declined, payment.blocked) == (True, False, False)
    assert payment.refunded_at is not None and moment_of(payment.refunded_at) == datetime(2026, 3, 2, tzinfo=UTC)
    assert payment.disputed_at is not None and moment_of(payment.disputed_at) == datetime(2026, 3, 3, tzinfo=UTC)
    assert (payment.refunded, payment.warned_at, payment.said) == (5, None, {"cvc_check": "pass"})
    assert (payment.label, payment.merchant) == (Label.FRAUD, "mer_1")


def test_what_the_file_lacks_is_computed_or_told(tmp_path: Path) -> None:
    path = write_csv(tmp_path, [row(7 * 3_600, email="a@x.org", emial_domain="x")])
    opened = source_of(path).open(VOCABULARY, ["hour", "weekday", "email_domain", "card"], None)
    [payment] = opened.payments(lambda share: None)
    assert (payment.facts["hour"], payment.facts["weekday"], payment.facts["email_domain"]) == (7, 7, "x.org")
    assert opened.missing() == ("card",)
    assert "The column 'emial_domain' is not used: did you mean 'email_domain'?" in opened.notes
    assert "hour was computed from time, in UTC." in opened.notes


def test_amount_usd_is_written_in_dollars(tmp_path: Path) -> None:
    [payment] = read(write_csv(tmp_path, [row(0, amount_usd="49.9")]), "amount_usd")
    assert payment.facts["amount_usd"] == 4_990


def test_metadata_that_is_not_of_its_type_is_unknown(tmp_path: Path) -> None:
    word = metadata_word("seats", MetadataType.INTEGER)
    path = write_csv(tmp_path, [row(0, metadata_seats="3"), row(1, metadata_seats="three")])
    first, second = read(path, word.name, words={word.name: word})
    assert (first.facts.get(word.name), second.facts.get(word.name)) == (3, None)


def test_empty_lines_and_a_byte_order_mark_are_no_matter(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "\ufefftime,amount,currency\n\n2026-03-01T00:00:00Z,0,USD\n\n")
    assert [payment.amount for payment in read(path)] == [0]


GOOD = "time,amount,currency,label,hour\n2026-03-01T00:00:00Z,1,USD,,1\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", " is empty; its first line must name the columns"),
        ("time,amuont,currency\n", ":1: there is no column 'amount' did you mean 'amuont'?"),
        ("time,amount,currency,time\n", ":1: the column 'time' is there 2 times"),
        (GOOD + "2026-03-01T00:00:00Z,1,USD\n", ":3: has 3 cells where the first line has 5"),
        (
            GOOD + "2026-02-01T00:00:00Z,1,USD,,1\n",
            ":3: time: is earlier than in the row before; sort the file by time",
        ),
        (GOOD + "2026-03-01T00:00:00,1,USD,,1\n", ":3: time: is not a time such as 2026-03-01T17:04:05Z"),
        (GOOD + ",1,USD,,1\n", ":3: time: is not a time such as 2026-03-01T17:04:05Z"),
        (GOOD + "2026-03-01T00:00:00Z,,USD,,1\n", ":3: amount: is empty"),
        (GOOD + "2026-03-01T00:00:00Z,1.5,USD,,1\n", ":3: amount: is not a whole number"),
        (GOOD + "2026-03-01T00:00:00Z,٣,USD,,1\n", ":3: amount: is not a whole number"),
        (GOOD + f"2026-03-01T00:00:00Z,{'9' * 5000},USD,,1\n", ":3: amount: is not a whole number"),
        (GOOD + "2026-03-01T00:00:00Z,-1,USD,,1\n", ":3: amount: is out of range: 0 to 9,007,199,254,740,991"),
        (GOOD + "2026-03-01T00:00:00Z,1,,,1\n", ":3: currency: is empty"),
        (GOOD + "2026-03-01T00:00:00Z,1,USD,maybe,1\n", ":3: label: is neither fraud nor legit; leave it empty"),
        (GOOD + "2026-03-01T00:00:00Z,1,USD,,24\n", ":3: hour: is out of range: 0 to 23"),
        (GOOD + '2026-03-01T00:00:00Z,1,USD,,"1" 2\n', ":3: is not CSV: "),
        (GOOD + '2026-03-01T00:00:00Z,1,USD,,"1\n', ":3: is not CSV: unexpected end of data"),
        (GOOD + "2026-03-01T00:00:00Z,1,USD,," + "1" * 200_000 + "\n", "is not CSV: field larger than field limit"),
        (GOOD.encode() + b"2026-03-01T00:00:00Z,1,\xff\xfe,,1\n", " is not UTF-8 text"),
    ],
)
def test_what_is_not_sound_is_named_by_file_line_and_column(tmp_path: Path, text: str | bytes, expected: str) -> None:
    path = csv_of(tmp_path, text)
    message = complaint(path, "hour")
    assert message.startswith(str(path))
    assert expected in message


def test_no_cell_is_repeated_in_an_error(tmp_path: Path) -> None:
    assert "4242" not in complaint(csv_of(tmp_path, GOOD + "2026-03-01T00:00:00Z,4242x,USD,,1\n"), "hour")


def test_a_file_that_is_not_there_is_an_error_of_the_data(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in complaint(tmp_path / "none.csv")
    assert "cannot be read" in complaint(tmp_path / "none.parquet")


def test_the_label_may_stand_in_another_column(tmp_path: Path) -> None:
    path = write_csv(tmp_path, [row(0, outcome="legit")])
    assert [payment.label for payment in read(path, label="outcome")] == [Label.LEGIT]
    assert "there is no column 'truth'" in complaint(path, label="truth")


def test_the_share_that_is_done_is_told(tmp_path: Path) -> None:
    path = write_csv(tmp_path, [row(second) for second in range(9_000)])
    told: list[float] = []
    assert sum(1 for _ in source_of(path).open(VOCABULARY, [], None).payments(told.append)) == 9_000
    assert told == sorted(told)
    assert 0 <= told[0] < told[-1] <= 1


def parquet_of(folder: Path, **columns: list[object]) -> Path:
    path = folder / "payments.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    return path


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    typed = parquet_of(
        tmp_path,
        time=[moment, moment], amount=[10_000, 10_000], currency=["USD", "USD"], cvc_given=[False, None],
        card=["c", None], hour=[3.0, float("nan")], label=["fraud", None], disputed_at=[None, moment],
        amount_usd=[Decimal("1.50"), None], approved=[True, None], unused=[b"x".decode(), None],
    )  # fmt: skip
    cells = {"cvc_given": "false", "card": "c", "hour": 3, "label": "fraud", "amount_usd": "1.5", "approved": "true"}
    written = write_csv(tmp_path, [row(0, **cells), row(0, disputed_at="2026-03-01T00:00:00Z")])
    needed = ("cvc_given", "card", "hour", "amount_usd")
    assert [payment[1:] for payment in read(typed, *needed)] == [payment[1:] for payment in read(written, *needed)]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"amount": [[1]]}, "payments.parquet: amount: is a column of lists, structures or bytes"),
        ({"amount": [b"1"]}, "payments.parquet: amount: is a column of lists, structures or bytes"),
        ({"amount": [True]}, "payments.parquet:1: amount: is not a whole number"),
        ({"amount": [1.5]}, "payments.parquet:1: amount: is not a whole number"),
        ({"amount": [1], "time": [5.0]}, "payments.parquet:1: time: is not a time"),
        ({"amount": [1], "currency": [1.5]}, "payments.parquet:1: currency: is not a text"),
    ],
)
def test_a_parquet_file_that_is_not_sound_is_named_by_row(
    tmp_path: Path, columns: dict[str, list[object]], expected: str
) -> None:
    whole = {"time": ["2026-03-01T00:00:00Z"], "currency": ["USD"], **columns}
    assert expected in complaint(parquet_of(tmp_path, **whole))


def test_what_is_no_parquet_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "payments.parquet"
    path.write_bytes(b"PAR1 nonsense PAR1")
    assert "is not a Parquet file" in complaint(path)


def test_without_pyarrow_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet_of(tmp_path, time=["2026-03-01T00:00:00Z"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "Parquet needs pyarrow" in complaint(path)


def test_every_fact_can_be_read(tmp_path: Path) -> None:
    samples = {Kind.BOOLEAN: "true", Kind.INTEGER: "1", Kind.TEXT: "x"}
    cells = {name: samples[word.kind] for name, word in VOCABULARY.items()}
    [payment] = read(write_csv(tmp_path, [row(0) | cells]), *VOCABULARY)
    assert set(payment.facts) == set(VOCABULARY)
