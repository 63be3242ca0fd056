"""BINs and addresses are looked up in files, and a line that is wrong is named."""

from pathlib import Path

import pytest

from server.screening.bin_table import NOT_KNOWN, Issuer, load_bins
from server.screening.ip_table import Origin, load_ips
from server.screening.tables import TableError

BINS = """# ours
first,last,brand,country,funding
400000,400009,visa,US,credit
40000510,40000519,visa,de,debit
555555,,mastercard,,
"""
IPS = """network,country,proxy
203.0.113.0/24,au,no
203.0.113.64/26,NZ,
203.0.113.80/28,,yes
203.0.113.95/32,FJ,no
2001:db8::/32,GB,no
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


@pytest.mark.parametrize(
    ("digits", "issuer"),
    [
        ("40000000", Issuer("visa", "US", "credit")),
        ("40000999", Issuer("visa", "US", "credit")),
        ("40000509", Issuer("visa", "US", "credit")),
        ("40000515", Issuer("visa", "DE", "debit")),
        ("400005", Issuer("visa", "US", "credit")),
        ("55555555", Issuer("mastercard", "", "")),
        ("40001000", NOT_KNOWN),
        ("39999999", NOT_KNOWN),
        ("99999999", NOT_KNOWN),
        ("", NOT_KNOWN),
    ],
)
def test_of_ranges_that_hold_a_number_the_one_with_most_digits_counts(file: Path, digits: str, issuer: Issuer) -> None:
    file.write_text(BINS)
    assert load_bins(file).find(digits) == issuer


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("203.0.113.0", Origin("AU", False)),
        ("203.0.113.63", Origin("AU", False)),
        ("203.0.113.64", Origin("NZ", False)),
        ("203.0.113.80", Origin("NZ", True)),
        ("203.0.113.94", Origin("NZ", True)),
        ("203.0.113.95", Origin("FJ", False)),
        ("203.0.113.96", Origin("NZ", False)),
        ("203.0.113.128", Origin("AU", False)),
        ("203.0.113.255", Origin("AU", False)),
        ("203.0.114.0", Origin()),
        ("203.0.112.255", Origin()),
        ("::ffff:203.0.113.80", Origin("NZ", True)),
        ("2001:db8:ffff::1", Origin("GB", False)),
        ("2001:db9::", Origin()),
        ("", Origin()),
        ("no address", Origin()),
    ],
)
def test_the_innermost_network_tells_and_leaves_open_to_the_outer_one(file: Path, address: str, origin: Origin) -> None:
    file.write_text(IPS)
    assert load_ips(file).find(address) == origin


HEAD = "first,last,brand,country,funding\n"
NET = "network,country,proxy\n"


@pytest.mark.parametrize(
    ("load", "content", "line", "says"),
    [
        (load_bins, "", 1, "heading"),
        (load_bins, "bin,brand\n", 1, "heading"),
        (load_bins, HEAD + "400000,,visa,US\n", 2, "4 fields"),
        (load_bins, HEAD + "4000,,visa,US,credit\n", 2, "6 to 8 digits"),
        (load_bins, HEAD + "40000٣,,visa,US,credit\n", 2, "6 to 8 digits"),
        (load_bins, HEAD + "400000,40000099,visa,US,credit\n", 2, "as many digits"),
        (load_bins, HEAD + "400009,400000,visa,US,credit\n", 2, "not be less"),
        (load_bins, HEAD + "400000,,vista,US,credit\n", 2, "brand must be one of"),
        (load_bins, HEAD + "400000,,visa,US,charge\n", 2, "funding must be one of"),
        (load_bins, HEAD + "400000,,visa,USA,credit\n", 2, "country must be"),
        (load_bins, HEAD + "400000,400005,visa,US,credit\n# and\n400005,,visa,DE,credit\n", 4, "line 2"),
        (load_bins, HEAD + 'ab"c,"\n', 2, "quotes"),
        (load_ips, NET + "203.0.113.7/24,AU,no\n", 2, "network must be"),
        (load_ips, NET + "here,AU,no\n", 2, "network must be"),
        (load_ips, NET + "203.0.113.0/24,AU,perhaps\n", 2, "proxy must be"),
        (load_ips, NET + "203.0.113.0/24,AU,no\n203.0.113.0/24,NZ,no\n", 3, "line 2"),
    ],
)
def test_a_wrong_line_is_named(load, file: Path, content: str, line: int, says: str) -> None:  # type: ignore[no-untyped-def]
    file.write_text(content, encoding="utf-8")
    with pytest.raises(TableError) as caught:
        load(file)
    assert (caught.value.line, caught.value.file) == (line, str(file))
    assert says in str(caught.value)


def test_a_file_that_is_no_text_or_not_there_is_named(file: Path) -> None:
    with pytest.raises(TableError, match=r"table\.csv"):
        load_bins(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TableError, match="UTF-8"):
        load_ips(file)


def test_the_samples_hold_together_and_know_nothing_real() -> None:
    assert load_bins().find("42424242") == Issuer("visa", "US", "credit")
    assert load_bins().find("41111111") == NOT_KNOWN
    assert load_ips().find("203.0.113.200") == Origin("AU", True)
    assert load_ips().find("8.8.8.8") == Origin()
