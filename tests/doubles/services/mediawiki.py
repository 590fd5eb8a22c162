"""The parts of MediaWiki's action API that are asked, made from its documented answers (formatversion 2)."""

from __future__ import annotations

from typing import Any

from tests.doubles.services.http_double import Asked, Reply

ARTICLES: dict[str, str] = {
    "Marie Curie": (
        "Maria Salomea Skłodowska-Curie was a Polish and naturalised-French physicist and chemist. She was born on "
        "7 Nov. 1867 in Warsaw. She won the Nobel Prize twice. Her work was on radioactivity.\n\n\n"
        "== Life ==\nShe studied at the Flying University.\n\n\n=== Early years ===\nHer father taught physics.\n\n\n"
        "== Awards ==\nNobel Prize in Physics (1903). Nobel Prize in Chemistry (1911)."
    ),
    "Mercury (planet)": "Mercury is the first planet from the Sun. It has no moons.",
    "Mercury (element)": "Mercury is a chemical element. Its symbol is Hg.",
    "Mercury": "Mercury most commonly refers to:\nMercury (planet)\nMercury (element)",
}
REDIRECTS = {"Madame Curie": "Marie Curie"}
DISAMBIGUATIONS = {"Mercury": ["Mercury (element)", "Mercury (planet)"]}


def answer(asked: Asked) -> Reply:
    query = asked.query
    if asked.path != "/w/api.php" or query.get("action") != "query" or query.get("format") != "json":
        return Reply(b"<html>no such page</html>", 404, {"content-type": "text/html"})
    if not asked.headers.get("user-agent", "").startswith("Hearth/"):
        return Reply(b"Please set a user-agent", 403, {"content-type": "text/plain"})
    if query.get("generator") == "search":
        wanted = query["gsrsearch"].lower().split()
        titles = [t for t, text in ARTICLES.items() if all(word in f"{t} {text}".lower() for word in wanted)]
        pages = [_page(title, query) | {"index": n} for n, title in enumerate(titles[: int(query["gsrlimit"])], 1)]
        # Nothing found: there is no `query` at all.
        return Reply({"batchcomplete": True, **({"query": {"pages": pages}} if pages else {})})
    title = query.get("titles", "")
    if any(sign in title for sign in "<>[]{}|#"):
        page: dict[str, Any] = {"title": title, "invalidreason": "bad characters", "invalid": True}
        return Reply({"batchcomplete": True, "query": {"pages": [page]}})
    target = REDIRECTS.get(title, title)
    redirects = [{"from": title, "to": target}] if target != title else []
    return Reply({"batchcomplete": True, "query": {"redirects": redirects, "pages": [_page(target, query)]}})


def _page(title: str, query: dict[str, str]) -> dict[str, Any]:
    if title not in ARTICLES:
        return {"ns": 0, "title": title, "missing": True}
    page: dict[str, Any] = {"pageid": len(title), "ns": 0, "title": title}
    props = query.get("prop", "").split("|")
    if "info" in props:
        page["fullurl"] = "https://en.wikipedia.org/wiki/" + title.replace(" ", "_")
    if "pageprops" in props and title in DISAMBIGUATIONS:
        page["pageprops"] = {"disambiguation": ""}
    if "links" in props:
        page["links"] = [{"ns": 0, "title": each} for each in DISAMBIGUATIONS.get(title, [])]
    if "extracts" in props:
        page["extract"] = ARTICLES[title]
    return page
