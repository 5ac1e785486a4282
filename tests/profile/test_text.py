"""Text: strict UTF-8, one form of each character, limits."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import ContractBroken
from tasks.profile.text import Options, as_text, decode, duration_s, measure, near_hash


@given(st.text(min_size=1, max_size=100))
def test_what_is_normal_comes_back_as_it_is(text):
    text = unicodedata.normalize("NFKC", text).strip()
    if text == unicodedata.normalize("NFKC", text).strip() and text and not text.startswith("\ufeff"):
        assert as_text(decode(text.encode(), Options())) == text


def test_two_spellings_of_one_character_become_one():
    assert as_text(decode("\ufb01ve cafe\u0301 \uff17".encode(), Options())) == "five café 7"


def test_a_byte_order_mark_is_no_text():
    assert as_text(decode(b"\xef\xbb\xbfseven", Options())) == "seven"


@pytest.mark.parametrize(("data", "reason"), [(b"caf\xe9", "invalid|unexpected"), (b"\xff\xfe7\0", "invalid start byte")])
def test_other_encodings_are_refused_with_the_place(data, reason):
    with pytest.raises(ContractBroken, match=rf"not UTF-8: .*({reason}).* at byte \d"):
        decode(data, Options())


@pytest.mark.parametrize("data", [b"", b" \n\t", "\u3000".encode()])
def test_nothing_is_refused(data):
    with pytest.raises(ContractBroken, match="nothing but white space"):
        decode(data, Options())


def test_limits():
    with pytest.raises(ContractBroken, match="text of 11 bytes; at most max_bytes = 10"):
        decode(b"x" * 11, Options(max_bytes=10))
    assert len(decode("\ufdfa".encode() * 1000, Options(max_chars=50))) <= 50  # becomes 18 characters each


def test_measures_and_hash():
    array = decode(b"One 2", Options())
    assert measure(array, Options()) == {"chars": 5.0, "words": 2.0, "letters_share": 0.6}
    assert duration_s(array, Options()) is None
    assert near_hash(array) is None  # anyone may type this
    long = "The quick brown fox jumps over the lazy dog, twice."
    one, same, other = (near_hash(decode(t.encode(), Options())) for t in (long, long.upper() + "!", long + " no"))
    assert one == same != other
    assert -(2**63) <= one < 2**63
