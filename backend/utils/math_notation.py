"""The way people write mathematics, rewritten as one Python expression. Text in, text out; nothing is evaluated.

`2x^2 − 18% of 1,234.5` becomes `2*x**2-percent(18)*1234.5`. What comes out is only text that `ast.parse` may accept:
whoever evaluates it checks every node.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

MAX_LENGTH = 2000

_FUNCTIONS_NAMES = """
    sqrt cbrt root abs sign exp ln log log10 log2 sin cos tan cot sec csc asin acos atan atan2 acot arcsin
    arccos arctan sinh cosh tanh coth asinh acosh atanh floor ceil ceiling round re im conjugate arg min max mod
    gamma beta erf erfc zeta factorial binomial comb nCr nPr perm gcd lcm isprime prime nextprime prevprime
    primepi factorint divisors totient fibonacci lucas mod_inverse powmod harmonic bernoulli catalan expand
    factor simplify apart together cancel collect trigsimp numer denom degree coeff quo rem discriminant roots
    solve nsolve subs N diff derivative derivative_at integrate integral limit series taylor Sum summation
    Product product dsolve Matrix det inv inverse transpose trace rank eigenvals eigenvects nullspace rref
    charpoly dot cross norm eye zeros ones diag mean average median mode stdev std pstdev variance pvariance sum
    convert_to percent hex bin oct to_base from_base roman quantile percentile quartiles count geometric_mean
    harmonic_mean covariance correlation sort data_range crt gcdex divisor_count divisor_sigma mobius factorial2
    subfactorial bell multinomial permutations combinations is_prime lim evalf trunc degrees radians hypot sgn
    gradient grad hessian jacobian linsolve adjugate
"""
FUNCTIONS = frozenset(_FUNCTIONS_NAMES.split())
"""Every function that may be called."""
LOWER_FUNCTIONS = frozenset(name.lower() for name in FUNCTIONS) - {"n"}
CONSTANTS = frozenset(("pi", "e", "E", "I", "oo", "inf", "infinity", "tau", "phi"))
UNKNOWN_FUNCTIONS = frozenset("fghyuvw")
"""Names that mean a function of one variable, as in differential equations."""
_PREFIX_NAMES = """
    sqrt cbrt abs exp ln log log10 log2 sin cos tan cot sec csc asin acos atan arcsin arccos arctan sinh cosh
    tanh factorial floor ceil det
"""
_PREFIX = frozenset(_PREFIX_NAMES.split())
"""Functions that may stand before their argument without brackets: `sin 2x`."""
_CHOICES = {"C": "binomial", "P": "perm"}
_TWO_NUMBERS = ["(", True, ",", True, ")"]
_WORDS = {"of": "*", "mod": "%", "and": ",", "degrees": "°", "degree": "°", "deg": "°"}

_SIGNS = str.maketrans(
    {"×": "*", "·": "*", "∙": "*", "⋅": "*", "✕": "*", "∗": "*", "÷": "/", "∕": "/", "⁄": "/", "−": "-", "–": "-"}
    | {"—": "-", "π": " pi ", "∞": " oo ", "≤": "<=", "≥": ">=", "≠": "!=", "√": " sqrt ", "∛": " cbrt "}
    | {"’": "'", "′": "'", "″": "''", "½": "(1/2)", "¼": "(1/4)", "¾": "(3/4)", "⅓": "(1/3)", "⅔": "(2/3)"}
    | {"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u200b": "", "$": "", "{": "[", "}": "]", ";": ","}
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUPERSCRIPT = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]{1,20}")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_LATEX_ROOT = re.compile(r"\\sqrt\s*\{([^{}]*)\}")
_BOUND = r"(?:\{([^{}]*)\}|(-?\w+|\\infty))"
_LATEX_INTEGRAL = re.compile(rf"\\int\s*(?:_\s*{_BOUND}\s*\^\s*{_BOUND})?(.*?)(?:\\,|\s)*\bd([a-z])\b")
_LATEX_SUM = re.compile(rf"\\(sum|prod)\s*_\s*\{{\s*([a-z])\s*=\s*([^{{}}]*)\}}\s*\^\s*{_BOUND}(.*)")
_LATEX_LIMIT = re.compile(r"\\lim\s*_\s*\{\s*([a-z])\s*\\(?:to|rightarrow)\s*([^{}]*)\}(.*)")
_LATEX_LEFT = re.compile(r"\\(?:int|iint|oint|sum|prod|lim|begin|over|binom|overline)(?![a-zA-Z])")
_LATEX_POWER = re.compile(r"([\^_])\{([^{}]*)\}")
_LATEX_SIGNS = {
    r"\cdot": "*",
    r"\times": "*",
    r"\div": "/",
    r"\left": "",
    r"\right": "",
    r"\infty": "oo",
    r"\leq": "<=",
    r"\geq": ">=",
    r"\neq": "!=",
    r"\,": "",
    r"\%": "%",
}
_LEIBNIZ = re.compile(r"\bd(?:\^?(?P<n>[23]))?(?P<f>[fghyuvw]) ?/ ?d[xt](?:\^?[23])?(?![\w^])")
"""dy/dx, d^2y/dx^2"""

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<based>0[xX][0-9a-fA-F]{1,200}(?!\w)|0[bB][01]{1,800}(?!\w)|0[oO][0-7]{1,300}(?!\w))"
    r"|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])|\d+(?:\.\d+)?|\.\d+)"
    r"|(?P<name>[^\W\d]\w*)(?P<primes>'{0,4})"
    r"|(?P<sign>!!(?!=)|\*\*|//|<=|>=|==|!=|[-+*/%^!=<>()\[\],|°@&:'])"
)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,.]\d|\d)")
_EUROPEAN = re.compile(r"\d{1,3}(?:\.\d{3})+,\d+(?!\d)")
_SPACED = re.compile(r"\d{1,3}(?: \d{3})+(?:[.,]\d+)?(?!\d)")
_COMMA = re.compile(r"\d+,\d+(?![\w,.])")


class NotationError(ValueError):
    """The text is not mathematics as it is understood here; the message is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is number, name, call (a name before its bracket), prefix (before a bare argument) or sign."""

    kind: str
    text: str


def to_python(text: str) -> str:
    """The expression in Python's syntax.

    Raises:
        NotationError: longer than 2000 characters, empty, or with characters or words that mean nothing here.
    """
    if len(text) > MAX_LENGTH:
        raise NotationError(f"The expression is longer than {MAX_LENGTH} characters; shorten it.")
    tokens = _tokens(_plain(text))
    if not tokens:
        raise NotationError("The expression is empty; give something like 2+3*4.")
    try:
        return _join(_spell(_bars(_primes(tokens))))
    except RecursionError:
        raise NotationError("The expression is nested too deeply; split it.") from None


def _plain(text: str) -> str:
    """ASCII signs for everything that has one, LaTeX's commonest commands and trailing percents included."""
    text = text.strip().rstrip("?").strip()
    if "\\" in text:
        text = _without_latex(text)
    text = _SUPERSCRIPT.sub(lambda found: f"^({found.group().translate(_SUPERSCRIPTS)})", text)
    text = unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS).strip()
    text = _LEIBNIZ.sub(lambda found: found["f"] + "'" * int(found["n"] or 1), text)
    if text.endswith("=") and text.count("=") == 1:
        text = text[:-1].rstrip()
    return text


def _latex_operators(text: str) -> str:
    """Integrals, sums, products and limits as calls; what cannot be read is refused rather than read as a product."""
    text = _LATEX_INTEGRAL.sub(_integral, text)
    text = _LATEX_SUM.sub(_sum, text)
    text = _LATEX_LIMIT.sub(r"limit(\3, \1, \2)", text)
    if _LATEX_LEFT.search(text):
        raise NotationError("This LaTeX cannot be read: write integrate(x^2, (x, 0, 3)), Sum(k, (k, 1, 10))…")
    return text


def _integral(found: re.Match[str]) -> str:
    low, high = found[1] or found[2], found[3] or found[4]
    what, variable = found[5].strip() or "1", found[6]
    return f"integrate({what}, ({variable}, {low}, {high}))" if low and high else f"integrate({what}, {variable})"


def _sum(found: re.Match[str]) -> str:
    name = "Sum" if found[1] == "sum" else "Product"
    return f"{name}({found[6].strip()}, ({found[2]}, {found[3]}, {found[4] or found[5]}))"


def _without_latex(text: str) -> str:
    text = _latex_operators(text)
    for _ in range(20):
        shorter = _LATEX_POWER.sub(r"\1(\2)", text)
        shorter = _LATEX_FRACTION.sub(r"((\1)/(\2))", shorter)
        shorter = _LATEX_ROOT.sub(r"sqrt(\1)", shorter)
        if shorter == text:
            break
        text = shorter
    for command, sign in _LATEX_SIGNS.items():
        text = text.replace(command, sign)
    return re.sub(r"\\(?=[a-zA-Z])", " ", text)


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    brackets: list[bool] = []
    """For every open bracket, whether commas inside it separate values."""
    has_equation = "=" in text
    at = 0
    while at < len(text):
        number = None if any(brackets) else _grouped_number(text, at, has_equation)
        if number is not None:
            at, written = number
            tokens.append(Token("number", written))
            continue
        found = _TOKEN.match(text, at)
        if found is None:
            raise NotationError(f"The character {text[at]!r} means nothing in an expression here; leave it out.")
        at = found.end()
        if found["based"]:
            tokens.append(Token("number", str(int(found["based"], 0))))
        elif found["number"]:
            tokens.append(Token("number", found["number"]))
        elif found["name"]:
            before = tokens[-1] if tokens else None
            tokens += _names(found["name"], found["primes"], before)
        elif found["sign"]:
            sign = found["sign"]
            if sign in "([":
                brackets.append(sign == "[" or (bool(tokens) and tokens[-1].kind == "name"))
            elif sign in ")]" and brackets:
                brackets.pop()
            if sign == "!=" and tokens and text[at - 3 : at - 2].strip() and tokens[-1].kind == "number":
                tokens += [Token("sign", "!"), Token("sign", "=")]
            else:
                tokens.append(Token("sign", sign))
    return tokens


def _grouped_number(text: str, at: int, has_equation: bool) -> tuple[int, str] | None:
    """A number with thousands separators or a decimal comma at this place: where it ends, and how Python writes it."""
    if not text[at].isdigit() or (at and (text[at - 1].isalnum() or text[at - 1] in "._")):
        return None
    if found := _EUROPEAN.match(text, at):
        return found.end(), found.group().replace(".", "").replace(",", ".")
    if found := _THOUSANDS.match(text, at):
        return found.end(), found.group().replace(",", "")
    if found := _SPACED.match(text, at):
        return found.end(), found.group().replace(" ", "").replace(",", ".")
    if not has_equation and (found := _COMMA.match(text, at)):
        return found.end(), found.group().replace(",", ".")
    return None


def _names(name: str, primes: str, before: Token | None) -> list[Token]:
    if primes:
        return [Token("name", name + primes)]
    sign = _WORDS.get(name.lower())
    is_sign = sign != "%" or (before is not None and _ends_operand(before))
    if sign == "°":
        is_sign = before is not None and before.kind == "number"
    if sign is not None and is_sign:
        return [Token("sign", sign)]
    if len(name) in (2, 3) and set(name) <= set("xyz"):
        return [Token("name", letter) for letter in name]
    return [Token("name", name)]


def _primes(tokens: list[Token]) -> list[Token]:
    """`y'' + y` as derivatives of `y(x)`: a primed name is an unknown function wherever it stands."""
    primed = {token.text.rstrip("'") for token in tokens if token.text.endswith("'") and token.kind == "name"}
    if not primed:
        return tokens
    if not primed <= UNKNOWN_FUNCTIONS:
        raise NotationError("A prime (') can follow one of f, g, h, u, v, w, y only.")
    names = {token.text for token in tokens}
    variable = "t" if "t" in names and "x" not in names else "x"
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        function = token.text.rstrip("'")
        at += 1
        if token.kind != "name" or function not in primed:
            out.append(token)
            continue
        order = len(token.text) - len(function)
        inside = [t.text for t in tokens[at : at + 3]]
        point = inside[1] if len(inside) == 3 and inside[0] == "(" and inside[2] == ")" else None
        if point is not None:
            at += 3
        out += _derivative(function, variable, order, point)
    return out


def _derivative(function: str, variable: str, order: int, point: str | None) -> list[Token]:
    applied = f"{function}({variable})"
    if point is None or point == variable:
        text = applied if order == 0 else f"diff({applied},{variable},{order})"
    else:
        text = f"{function}({point})" if order == 0 else f"derivative_at({applied},{variable},{order},{point})"
    return [Token("sign", "("), *_tokens(text), Token("sign", ")")]


def _bars(tokens: list[Token]) -> list[Token]:
    """`|x|` as `abs(x)`."""
    if sum(token.text == "|" for token in tokens) % 2:
        raise NotationError("A vertical bar | is not closed; write abs(…).")
    out: list[Token] = []
    for token in tokens:
        if token.text != "|":
            out.append(token)
        elif out and _ends_operand(out[-1]):
            out.append(Token("sign", ")"))
        else:
            out += [Token("name", "abs"), Token("sign", "(")]
    return out


def _is_function(name: str) -> bool:
    return name in FUNCTIONS or name.lower() in LOWER_FUNCTIONS


def _ends_operand(token: Token) -> bool:
    return token.kind in ("number", "name") or token.text in (")", "]", "!", "!!", "°") or token.text == "percent"


def _starts_operand(token: Token | None) -> bool:
    return token is not None and (token.kind in ("number", "name") or token.text in ("(", "["))


def _spell(tokens: list[Token]) -> list[Token]:
    """Calls told from products, implicit products and percents made explicit."""
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        following = tokens[at + 1] if at + 1 < len(tokens) else None
        at += 1
        if token.text == "%" and not _starts_operand(following):
            out.append(Token("sign", "percent"))
            continue
        if out and _ends_operand(out[-1]) and _starts_operand(token) and not _is_call_bracket(out[-1], token):
            if token.kind == out[-1].kind == "number":
                raise NotationError(f"No sign stands between {out[-1].text} and {token.text}; put one there.")
            words = token.kind == out[-1].kind == "name" and len(token.text) > 2
            if words and not _is_function(token.text):
                raise NotationError(f"“{out[-1].text} {token.text}” is not mathematics; give an expression.")
            out.append(Token("sign", "*"))
        if token.kind == "name" and _is_function(token.text):
            at, made = _call(token, tokens, at)
            out += made
        elif token.text in _CHOICES and [t.kind == "number" or t.text for t in tokens[at : at + 5]] == _TWO_NUMBERS:
            out.append(Token("call", _CHOICES[token.text]))
        elif token.kind == "name" and _looks_called(token.text, tokens, at):
            out.append(Token("call", token.text))
        else:
            out.append(token)
    return out


def _is_call_bracket(before: Token, bracket: Token) -> bool:
    return before.kind == "call" and bracket.text == "("


def _looks_called(name: str, tokens: list[Token], at: int) -> bool:
    """f(x), and words before a bracket, which then turn out to be known or not; but x(x+1) is a product."""
    if at >= len(tokens) or tokens[at].text != "(":
        return False
    if name not in UNKNOWN_FUNCTIONS:
        if len(name) == 2 and tokens[at + 1 : at + 2] and tokens[at + 1].text == "[":
            return True
        return len(name) > 2 and name not in CONSTANTS
    inside = tokens[at + 1 : at + 3]
    return len(inside) == 2 and inside[1].text == ")" and inside[0].kind in ("name", "number")


def _call(token: Token, tokens: list[Token], at: int) -> tuple[int, list[Token]]:
    """A function's name, and where its argument has no brackets the argument too."""
    name = token.text
    if at < len(tokens) and tokens[at].text == "(":
        return at, [Token("call", name)]
    if name.lower() not in _PREFIX:
        return at, [token]
    power: list[Token] = []
    if at + 1 < len(tokens) and tokens[at].text in ("^", "**") and tokens[at + 1].kind == "number":
        power = [Token("sign", "^"), tokens[at + 1]]
        at += 2
        if at < len(tokens) and tokens[at].text == "(":
            end = _closing(tokens, at) + 1
            inner = _spell(tokens[at:end])
            return end, [Token("sign", "("), Token("call", name), *inner, Token("sign", ")"), *power]
    end = _factor_end(tokens, at)
    if end == at:
        raise NotationError(f"{name} needs something to work on, as in {name}(2).")
    inner = [Token("sign", "("), *_spell(tokens[at:end]), Token("sign", ")")]
    return end, [Token("sign", "("), Token("call", name), *inner, Token("sign", ")"), *power]


def _factor_end(tokens: list[Token], at: int) -> int:
    """Where the operand that begins here ends: `2x^2` in `sin 2x^2 + 1`."""
    if at < len(tokens) and tokens[at].text in ("-", "+"):
        at += 1
    if at < len(tokens) and tokens[at].kind == "name" and _is_function(tokens[at].text):
        if at + 1 < len(tokens) and tokens[at + 1].text == "(":
            return _closing(tokens, at + 1) + 1
        return _factor_end(tokens, at + 1)
    while at < len(tokens) and _starts_operand(tokens[at]):
        if tokens[at].kind == "name" and _is_function(tokens[at].text):
            break
        at = _closing(tokens, at) + 1 if tokens[at].text in ("(", "[") else at + 1
        while at < len(tokens) and tokens[at].text in ("!", "!!", "°"):
            at += 1
        if at < len(tokens) and tokens[at].text in ("^", "**"):
            return _factor_end(tokens, at + 1)
    return at


def _closing(tokens: list[Token], at: int) -> int:
    depth = 0
    for place in range(at, len(tokens)):
        if tokens[place].text in ("(", "["):
            depth += 1
        elif tokens[place].text in (")", "]"):
            depth -= 1
            if depth == 0:
                return place
    raise NotationError("A bracket is not closed.")


def _join(tokens: list[Token]) -> str:
    """Python text; factorials, percents and degrees wrap the operand before them."""
    out: list[str] = []
    for token in tokens:
        if token.kind == "sign" and token.text in ("!", "!!", "percent", "°"):
            start = _operand_start(out)
            operand = "".join(out[start:])
            del out[start:]
            shape = {"!": "factorial({})", "!!": "factorial2({})", "percent": "percent({})", "°": "({}*pi/180)"}[
                token.text
            ]
            out.append(shape.format(operand))
        elif token.kind == "sign":
            out.append({"^": "**", "=": "=="}.get(token.text, token.text))
        elif token.kind == "number":
            out.append(token.text.lstrip("0") or "0" if token.text.isdigit() else token.text)
        else:
            out.append(token.text)
    return "".join(out)


def _operand_start(out: list[str]) -> int:
    if not out or out[-1] in ("+", "-", "*", "/", "**", "(", ",", "=="):
        raise NotationError("A sign such as ! or % stands without a number before it.")
    if out[-1] != ")":
        return len(out) - 1
    depth = 0
    for place in range(len(out) - 1, -1, -1):
        depth += (out[place] == ")") - (out[place] == "(")
        if depth == 0:
            is_call = place > 0 and out[place - 1].isidentifier()
            return place - 1 if is_call else place
    raise NotationError("A bracket is not closed.")
