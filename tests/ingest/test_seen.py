"""What a batch names, against dictionaries, and the order of paths against Python's."""

import unicodedata
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tasks.ingest.seen import Digests, Names

# Few letters, so that names collide: case, two Unicode forms of é, a sign outside the basic plane, NUL.
TEXTS = st.lists(st.text("aAe\u00e9\u0301\uffff\U0001f600\0ßS", max_size=3), max_size=30)


def form(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


@given(TEXTS, st.integers(1, 3))
def test_names_that_are_twins_or_repeated_are_found(texts, kinds):
    names, said = Names(), {}
    for place, text in enumerate(texts):
        names.add(text, str(place % kinds))
        said.setdefault(text, set()).add(place % kinds)
    spellings = {form(text): {other for other in texts if form(other) == form(text)} for text in texts}
    assert names.twins() == {key for key, found in spellings.items() if len(found) > 1}
    assert names.repeated() == {t: (n, len(said[t]) > 1) for t, n in Counter(texts).items() if n > 1}


@given(TEXTS)
def test_digests_come_sorted_by_path_and_a_changed_one_is_told(paths):
    digests, known = Digests(), {}
    for place, path in enumerate(paths):
        sha256 = bytes([place % 2]) * 32
        assert digests.add(path, sha256) == (known.setdefault(path, sha256) == sha256)
    assert list(digests) == sorted(known.items())
