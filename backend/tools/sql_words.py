"""Plain questions over known tables turned into SQL by templates, in six languages, where nothing needs guessing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from backend.models.tables import TableColumn, UserTable

MAX_QUESTION = 600
MAX_PROBES = 12
_AGGREGATES: tuple[tuple[str, str], ...] = (
    ("avg", r"average|mean|avg|durchschnitt\w*|mittelwert|moyenne|moyen|promedio|media|medio|medie"),
    (
        "sum",
        r"total|totals|sum|summe|gesamt\w*|insgesamt|somme|suma|somma|soma|totale|overall|combined|totaux|totales|totali"
        r"|totais",
    ),
    (
        "max",
        r"maximum|max|highest|largest|biggest|greatest|most expensive|latest|hochste\w*|grosste\w*|teuerste\w*"
        r"|maximal\w*|neueste\w*|maximale|plus (?:eleve|grand|haut|cher)\w*|maximo|maxima|mayor"
        r"|mas (?:alto|alta|caro|cara)"
        r"|massimo|massima|maggiore|piu (?:alto|alta|caro|cara)|maior|mais (?:alto|alta|caro|cara)",
    ),
    (
        "min",
        r"minimum|min|lowest|smallest|cheapest|least|earliest|niedrigste\w*|kleinste\w*|billigste\w*|minimal\w*|minimale"
        r"|plus (?:petit|bas)\w*|moins cher\w*|minimo|minima|menor|mas (?:bajo|baja|barato|barata)"
        r"|minore|piu (?:basso|bassa)|mais (?:baixo|baixa|barato|barata)",
    ),
    (
        "count",
        r"how many|number of|count|wie ?viele|anzahl|zahle|combien|nombre d|cuant[oa]s|numero d[ei]|quant[ie]"
        r"|quant[oa]s|cantidad de|quantidade de",
    ),
)
_WORD = re.compile(r"\w+(?:\.\d+)?")
_TOP = re.compile(
    r"\b(?:top|first|best|die|les|las|los|le|i|os|as|the)\s+(\d{1,3})\b|\b(\d{1,3})\s+"
    r"(?:largest|highest|biggest|most|best|grossten|hochsten|besten|plus|mayores|mejores|maggiori|migliori|maiores"
    r"|melhores|premiers|primeros|primi|primeiros)\b"
)
_LISTED = (re.compile(r"\b\d{1,3}\s+"), re.compile(r"\b\d{1,3}\s+\w+\s+"))
_PER = re.compile(
    r"\b(?:per|by|for each|for every|each|je|pro|nach|par|por|pour chaque|grouped by|gruppiert nach|ogni|cada)\s+"
)
_WHICH = re.compile(r"\b(?:which|what|welche[rsn]?|quel(?:le)?s?|que|cual(?:es)?|quale|quali|qual|quais)\s+")
_YEAR = re.compile(r"\b((?:19|20)\d\d)\b")
_COMPARE = (
    (
        ">",
        r"(?:more|greater|higher|larger|bigger) than|above|over|mehr als|grosser als|uber|plus (?:de|grand que)"
        r"|superieur(?:e)?s? a|mas de|mayor(?:es)? (?:que|de|a)|piu di|maggior[ei] di|superior[ei]? a|mais de"
        r"|maior(?:es)? (?:que|do que)",
    ),
    (
        "<",
        r"(?:less|fewer|lower|smaller) than|below|under|weniger als|kleiner als|unter|moins de|inferieur(?:e)?s? a"
        r"|menos de|menor(?:es)? (?:que|de|a)|meno di|minor[ei] di|inferior[ei]? a",
    ),
)
_PERIODS = {
    "year": 4, "years": 4, "jahr": 4, "jahre": 4, "an": 4, "annee": 4, "ano": 4, "anno": 4,
    "month": 7, "months": 7, "monat": 7, "monate": 7, "mois": 7, "mes": 7, "mese": 7,
    "day": 10, "tag": 10, "jour": 10, "dia": 10, "giorno": 10,
}  # fmt: skip
_STOP_TEXT = """
the a an of in on at for from to with and or is are was were what which who how many much show me give list
tell all per by each every please table file data rows row records record entries where whose that have has
had does do did there der die das den dem des ein eine in im am fur von vom mit und oder ist sind war waren
was welche wie viele zeig mir gib alle je pro nach bitte tabelle datei daten zeilen wo deren hat haben gibt es
le la les un une de du des dans au aux pour avec et ou est sont quel quelle combien par chaque table fichier
donnees lignes y a el los las una del en con para por y o es son cual cuantos cuantas cada tabla archivo datos
filas hay il lo gli i dei della delle nel nella con per e o sono qual quale quanti quante ogni tabella dati
righe ci os as um uma do da dos das no na nos nas em com quantos quantas tabela dados linhas top first
"""
_STOP = frozenset(_STOP_TEXT.split())
_NUMBERS = ("integer", "real")
_KEYWORDS_TEXT = """
abort action add after all alter always analyze and any as asc attach autoincrement before begin between by
cascade case cast check collate column commit conflict constraint create cross current current_date current_time
current_timestamp database default deferrable deferred delete desc detach distinct do drop each else end escape
except exclude exclusive exists explain fail filter first following for foreign from full generated glob group
groups having if ignore immediate in index indexed initially inner insert instead intersect into is isnull join
key last left like limit match materialized natural no not nothing notnull null nulls of offset on or order
others outer over partition plan pragma preceding primary query raise range recursive references regexp reindex
release rename replace restrict returning right rollback row rows savepoint select set table temp temporary then
ties to transaction trigger unbounded union unique update using vacuum values view virtual when where window
with without user offset lateral qualify pivot unpivot summarize describe show sample
"""
_KEYWORDS = frozenset(_KEYWORDS_TEXT.split())


@dataclass(frozen=True, slots=True)
class Draft:
    """A question as far as it is understood. `probes` are words, folded, that may be values of a text column, each as
    it could be written there."""

    table: UserTable
    select: str
    group: str = ""
    order: str = ""
    limit: int | None = None
    conditions: tuple[str, ...] = ()
    probes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def sql(self, values: Mapping[str, tuple[str, str]] | None = None) -> str:
        """The statement; `values` are the probes that were found, as column and value."""
        found: dict[str, list[str]] = {}
        for column, value in (values or {}).values():
            found.setdefault(column, []).append(text_of(value))
        where = [*self.conditions, *(f"{name_of(c)} IN ({', '.join(v)})" for c, v in found.items())]
        parts = [f"SELECT {self.select} FROM {name_of(self.table.name)}"]
        parts += [f"WHERE {' AND '.join(where)}"] if where else []
        parts += [f"GROUP BY {self.group}"] if self.group else []
        parts += [f"ORDER BY {self.order}"] if self.order else []
        parts += [f"LIMIT {self.limit}"] if self.limit else []
        return " ".join(parts)

    def probe_sql(self) -> str | None:
        """A statement that finds which probes are values of which text column; None when there is nothing to find."""
        columns = [column.name for column in self.table.columns if column.type == "text"][:12]
        if not self.probes or not columns:
            return None
        wanted = ", ".join(text_of(way) for ways in self.probes.values() for way in ways)
        table = name_of(self.table.name)
        parts = [
            f"SELECT * FROM (SELECT DISTINCT {text_of(c)}, {name_of(c)} FROM {table}"
            f" WHERE {name_of(c)} IN ({wanted}) OR lower({name_of(c)}) IN ({wanted}) LIMIT {MAX_PROBES})"
            for c in columns
        ]
        return " UNION ALL ".join(parts)


def folded(text: str) -> str:
    """Lower case without accents, `ß` as `ss`; as long as the words, not the letters, matter."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c)).replace("_", " ")


def draft(question: str, tables: Sequence[UserTable]) -> Draft | None:
    """The question as a statement to be; None when the table or a column is not clear."""
    text = " ".join(_WORD.findall(folded(question[:MAX_QUESTION])))
    table = _table_in(text, tables)
    if table is None:
        return None
    named = _columns_in(text, table)
    kind = next((name for name, words in _AGGREGATES if re.search(rf"\b(?:{words})\b", text)), None)
    top = _TOP.search(text)
    group = _group_in(text, table, ranks=top is not None)
    limit = int(top.group(1) or top.group(2)) if top else None
    which = next((c for c in _after(text, _WHICH, table, reach=1)), None) if group is None else None
    if limit is not None and group is None:
        listed = next((c for cue in _LISTED for c in _after(text, cue, table, reach=1)), None)
        group = name_of(listed.name) if listed is not None and listed.type not in _NUMBERS else None
    if which is not None and kind in ("max", "min", "sum", "count") and which.type not in _NUMBERS:
        group, limit = name_of(which.name), limit or 1
    conditions, used = _conditions(text, table, named)
    measure = _measure(table, [c for c in named if name_of(c.name) != group and c.name not in used])
    made = _assembled(table, kind, group, limit, measure, "total" in text or "sum" in text)
    if made is None:
        return None
    probes = _probes(question[:MAX_QUESTION], table, set(folded(table.name).split()))
    return Draft(table, *made, tuple(conditions), probes)


def _assembled(
    table: UserTable, kind: str | None, group: str | None, limit: int | None, measure: TableColumn | None, summed: bool
) -> tuple[str, str, str, int | None] | None:
    """select, group, order, limit."""
    least = "ASC" if kind == "min" else "DESC"
    if kind in ("max", "min") and group is not None and limit is not None:
        kind = "sum" if summed or measure is not None else "count"
    if kind is None and group is not None and measure is not None:
        kind = "sum"
    if kind is None and limit is not None and measure is not None:
        return "*", "", f"{name_of(measure.name)} DESC", limit
    if kind is None:
        return None
    if kind == "count":
        value = 'count(*) AS "count"'
    elif measure is None:
        return None
    else:
        label = {"avg": "average", "sum": "total", "max": "maximum", "min": "minimum"}[kind]
        value = f'{kind}({name_of(measure.name)}) AS "{label}"'
    if group is None:
        if limit is not None and measure is not None:
            return "*", "", f"{name_of(measure.name)} {least}", limit
        return value, "", "", None
    by_time = group.startswith("substr(")
    return (
        f'{group} AS "{_label(group)}", {value}',
        "1",
        "1" if by_time and limit is None else f"2 {least}",
        limit or 100,
    )


def _label(group: str) -> str:
    period = re.search(r", 1, (\d+)\)", group)
    return {"4": "year", "7": "month", "10": "day"}[period.group(1)] if period else group.strip('"').replace('""', "")


def _table_in(text: str, tables: Sequence[UserTable]) -> UserTable | None:
    """The one table that the question names; else the only one there is."""
    exact = [table for table in tables if re.search(rf"\b{re.escape(folded(table.name))}\b", text)]
    found = exact or [table for table in tables if _mentions(text, folded(table.name))]
    longest = max((len(table.name) for table in found), default=0)
    found = [table for table in found if len(table.name) == longest]
    if len(found) == 1:
        return found[0]
    if not found and len(tables) == 1 and _columns_in(text, tables[0]):
        return tables[0]
    return None


def _mentions(text: str, name: str) -> bool:
    return bool(name.strip()) and re.search(rf"\b{_stem(name)}\b", text) is not None


def _stem(name: str) -> str:
    """A pattern for a name in the singular or plural."""
    words = name.split()
    last = words[-1]
    if last.endswith("ies") or (last.endswith("y") and len(last) > 3):
        stem, ends = (last[:-3] if last.endswith("ies") else last[:-1]), "(?:y|ies)"
    else:
        stem = last[:-1] if last.endswith("s") and len(last) > 3 else last
        ends = "(?:e?s|e?n|e|i)?" if len(stem) > 2 else ""
    return r"\s+".join([*(re.escape(word) for word in words[:-1]), re.escape(stem) + ends])


def _columns_in(text: str, table: UserTable) -> list[TableColumn]:
    """Columns the question names, in the order of their mention: by the whole name, else by a word of it that no other
    column has ("price" for `price_eur`). The table's own name is no mention."""
    text = re.sub(rf"\b{re.escape(folded(table.name))}\b", lambda name: "." * len(name.group()), text)
    names = {column.name: " ".join(_WORD.findall(folded(column.name))) for column in table.columns}
    found: dict[str, int] = {}
    for column, name in names.items():
        match = re.search(rf"\b{_stem(name)}\b", text) if name else None
        if match and name not in _STOP:
            found[column] = match.start()
    taken = set(found.values())
    words = [word for name in names.values() for word in set(name.split())]
    for column, name in names.items():
        own = [word for word in name.split() if len(word) > 2 and word not in _STOP and words.count(word) == 1]
        places = [match.start() for word in own if (match := re.search(rf"\b{_stem(word)}\b", text))]
        if column not in found and places and places[0] not in taken:
            found[column] = places[0]
    order = sorted(found, key=lambda name: found[name])
    by_name = {column.name: column for column in table.columns}
    return [by_name[name] for name in order]


def _after(text: str, cue: re.Pattern[str], table: UserTable, reach: int) -> list[TableColumn]:
    out = []
    for match in cue.finditer(text):
        words = text[match.end() :].split()[: reach + 1]
        for size in range(len(words), 0, -1):
            piece = " ".join(words[:size])
            named = [
                c for c in _columns_in(piece, table) if re.match(_stem(" ".join(_WORD.findall(folded(c.name)))), piece)
            ]
            if named:
                out.append(named[0])
                break
    return out


def _group_in(text: str, table: UserTable, ranks: bool) -> str | None:
    """What the question groups by, as an expression; where it `ranks`, `by units` is no grouping."""
    dates = [column for column in table.columns if column.type in ("date", "datetime")]
    columns = _after(text, _PER, table, reach=2)
    plain = [column for column in columns if column.type not in (_NUMBERS if ranks else ("real",))]
    for match in _PER.finditer(text):
        word = (text[match.end() :].split() or [""])[0]
        if word in _PERIODS and len(dates) == 1 and all(folded(c.name) != word for c in table.columns):
            return f"substr({name_of(dates[0].name)}, 1, {_PERIODS[word]})"
    return name_of(plain[0].name) if plain else None


def _measure(table: UserTable, named: list[TableColumn]) -> TableColumn | None:
    """The column to be added up: the one named, else the only number that is no key."""
    numbers = [column for column in named if column.type in _NUMBERS] or [c for c in named if c.type.startswith("date")]
    if numbers:
        return numbers[0]
    others = [
        c for c in table.columns if c.type in _NUMBERS and not re.search(r"(?:^|_| )(?:id|nr|no|year)$", c.name.lower())
    ]
    return others[0] if len(others) == 1 else None


def _conditions(text: str, table: UserTable, named: list[TableColumn]) -> tuple[list[str], set[str]]:
    """Years and comparisons; the names of columns that are only compared."""
    conditions: list[str] = []
    used: set[str] = set()
    for column in named:
        if column.type not in _NUMBERS:
            continue
        stem = _stem(" ".join(_WORD.findall(folded(column.name))))
        for sign, words in _COMPARE:
            found = re.search(rf"\b{stem}\s+(?:is |ist |est |es |e )?(?:{words})\s+(\d+(?:\.\d+)?)\b", text)
            if found:
                conditions.append(f"{name_of(column.name)} {sign} {found.groups()[-1]}")
                used.add(column.name)
    dates = [column for column in table.columns if column.type in ("date", "datetime")]
    years = [
        c for c in table.columns if c.type == "integer" and folded(c.name) in _PERIODS and _PERIODS[folded(c.name)] == 4
    ]
    wanted = [
        year for year in _YEAR.findall(text) if not any(condition.endswith(f" {year}") for condition in conditions)
    ]
    if len(wanted) == 1 and (len(dates) == 1 or len(years) == 1):
        conditions.append(
            f"{name_of(years[0].name)} = {wanted[0]}"
            if years
            else f"substr({name_of(dates[0].name)}, 1, 4) = '{wanted[0]}'"
        )
    return conditions, used


def _probes(question: str, table: UserTable, own: set[str]) -> dict[str, tuple[str, ...]]:
    """Words, and pairs of words, that are neither grammar nor names: they may be values."""
    known = own | {word for column in table.columns for word in folded(column.name).split()}
    words = _WORD.findall(question.replace("_", " "))
    cues = re.compile("|".join(pattern for _, pattern in _AGGREGATES))
    is_free = [_is_free(folded(word), known, cues) for word in words]
    free = [word for word, yes in zip(words, is_free, strict=True) if yes]
    places = range(len(words) - 1)
    pairs = [f"{words[at]} {words[at + 1]}" for at in places if is_free[at] or is_free[at + 1]]
    chosen = [*free, *pairs][: 3 * MAX_PROBES]
    return {folded(each): tuple(dict.fromkeys((each, each.casefold(), each.title()))) for each in chosen}


def _is_free(word: str, known: set[str], cues: re.Pattern[str]) -> bool:
    return word not in _STOP and word not in known and not word.isdigit() and not cues.fullmatch(word)


def matched(probes: Iterable[str], rows: Iterable[Sequence[object]]) -> dict[str, tuple[str, str]]:
    """Found values by probe: the longest of overlapping ones, and none that two columns hold."""
    found: dict[str, list[tuple[str, str]]] = {}
    for column, value in rows:
        found.setdefault(folded(str(value)), []).append((str(column), str(value)))
    out = {probe: found[probe][0] for probe in probes if probe in found and len({c for c, _ in found[probe]}) == 1}
    return {p: v for p, v in out.items() if not any(p != q and re.search(rf"\b{re.escape(p)}\b", q) for q in out)}


def name_of(name: str) -> str:
    """A table or column name as SQL writes it."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def text_of(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"
