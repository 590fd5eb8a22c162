"""Numbers spelt out, in six languages."""

from __future__ import annotations

import time

import pytest

from backend.utils.number_words import with_digits

CASES = [
    ("en", "seven hundred and fifty minus 180", "750 minus 180"),
    ("en", "twenty-five and three", "25 and 3"),
    ("en", "two thousand three hundred and five", "2305"),
    ("en", "five hundred thousand", "500000"),
    ("en", "two three", "2 3"),
    ("en", "the second one", "the second one"),
    ("de", "zweihundertfünfzig mal drei", "250 mal 3"),
    ("de", "fünfundzwanzig plus sieben", "25 plus 7"),
    ("de", "dreitausendvierhundert", "3400"),
    ("de", "drei und vier", "3 und 4"),
    ("fr", "quatre-vingt-dix-sept et deux cent cinquante", "97 et 250"),
    ("fr", "soixante-dix", "70"),
    ("fr", "mille deux cents", "1200"),
    ("es", "trescientos veinticinco más treinta y cinco", "325 más 35"),
    ("it", "duecentocinquanta per ventitré", "250 per 23"),
    ("pt", "duzentos e cinquenta vezes três", "250 vezes 3"),
    ("nl", "twee plus drie", "twee plus drie"),
]


@pytest.mark.parametrize(("language", "text", "expected"), CASES, ids=[f"{code} {text}" for code, text, _ in CASES])
def test_numbers_become_digits(language: str, text: str, expected: str) -> None:
    assert with_digits(text, language) == expected


@pytest.mark.parametrize("text", ["hundert" * 3000, "two " * 20_000, "quatre-vingt-" * 5000, "y " * 20_000])
def test_long_hostile_text_takes_no_long_time(text: str) -> None:
    clock = time.process_time()
    for language in ("en", "de", "fr", "es", "it", "pt"):
        with_digits(text, language)
    assert time.process_time() - clock < 10
