"""Instructions to compute on with a value, as plain expressions ("add 3 to 7" is "7 + 3")."""

from __future__ import annotations

import re

from backend.utils.query_text import numbers

_ARITHMETIC = (
    (r"(?:multipl\w*|moltiplica\w*|times|nimm|mal)", "*"),
    (r"(?:divid\w*|teile?|divise[rz]?)", "/"),
    (r"(?:add|plus|addiere?|ajoute[rz]?|suma|aggiungi|some|adicione|zähle)", "+"),
    (r"(?:subtract|minus|take away|subtrahiere?|ziehe?|soustrai\w*|resta|sottrai|subtraia)", "-"),
)
_POWERS = (
    (
        r"(?:square root of|wurzel (?:von|aus)|racine (?:carrée )?de|raíz (?:cuadrada )?de|radice (?:quadrata )?di|"
        r"raiz (?:quadrada )?de)",
        "sqrt({0})",
    ),
    (r"(?:double|verdopple|doublez?|duplica|raddoppia|dobre)", "{0} * 2"),
    (r"(?:halve|half of|halbiere)", "{0} / 2"),
    (r"(?:square|quadriere)", "{0}^2"),
)
_NUMERAL = r"-?\d+(?:[.,]\d+)?"


def arithmetic_forms(text: str) -> list[str]:
    """An instruction to compute with two numbers, or one, as a plain expression: "add 3 to 7" gives "7 + 3"."""
    found = numbers(text)
    for words, form in _POWERS:
        if len(found) == 1 and re.search(rf"\b{words}\W+(?:\w+\W+){{0,2}}{_NUMERAL}", text, re.IGNORECASE):
            return [form.format(found[0])]
    if len(found) != 2:
        return []
    for words, sign in _ARITHMETIC:
        if re.match(rf"\W*(?:(?:now|then|and|please|bitte|jetzt|nun|dann)\W+)*{words}\b", text, re.IGNORECASE):
            first, second = found
            swapped = (
                sign in "+-"
                and not re.match(r"\W*\w+\W+(?:to\b|from\b)", text)
                and bool(re.search(r"\b(?:to|from|zu|von|à|de|a|da|ao)\b", text.split(first, 1)[-1], re.IGNORECASE))
            )
            return [f"{second} {sign} {first}" if swapped else f"{first} {sign} {second}"]
    return []
