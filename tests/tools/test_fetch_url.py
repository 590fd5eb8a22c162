"""`fetch_url` and the checks of NET-1, against real sockets on this machine and a resolver of our own."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from backend.core.toolbox import Toolbox, ToolOutcome
from backend.models.errors import HearthError, InvalidRequest, ServiceFailed
from backend.tools.fetch_url import FetchUrl, find_addresses
from backend.tools.web_address import is_public, read_address
from backend.tools.web_fetch import WebFetcher
from backend.workers.process import ProcessWorker
from tests.doubles.services import websites
from tests.doubles.services.http_double import HttpDouble
from tests.fakes.tools import FENCE, run_context
from tests.fakes.worker import InlineWorker


class Names:
    """A resolver: names and the addresses they have, one list per time of asking (the last stays)."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): lists for name, lists in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.answers:
            raise OSError("unknown")
        lists = self.answers[host]
        return lists.pop(0) if len(lists) > 1 else lists[0]


@pytest.fixture
async def site() -> AsyncIterator[HttpDouble]:
    async with HttpDouble(websites.answer).running() as double:
        yield double


def port_of(double: HttpDouble) -> int:
    return int(double.url.rpartition(":")[2])


@pytest.fixture
def fetcher(site: HttpDouble) -> WebFetcher:
    """Reads the double as `site.test`, which the operator allows; nothing else is."""
    names = Names(site_test=[["127.0.0.1"]], inside_test=[["10.1.2.3"]], mixed_test=[["93.184.216.34", "127.0.0.1"]])
    return WebFetcher([f"site.test:{port_of(site)}"], resolver=names, seconds=1.5)


@pytest.fixture
def base(site: HttpDouble) -> str:
    return f"http://site.test:{port_of(site)}"


async def called(fetcher: WebFetcher, url: str, **arguments: object) -> ToolOutcome:
    tool = FetchUrl(fetcher, InlineWorker())
    return await Toolbox({"fetch_url": tool}, run_context()).call("fetch_url", {"url": url, **arguments})


# ---- what is refused --------------------------------------------------------------------------------

LEADS_INSIDE = [
    "http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/",
    "http://017700000001/", "http://0177.0.0.1/", "http://127.0.0.1./", "http://0/", "http://0.0.0.0/",
    "http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.1.1/", "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/", "http://100.64.0.1/", "http://224.0.0.1/", "http://255.255.255.255/", "http://198.18.0.1/",
    "http://192.0.0.1/", "http://240.0.0.1/", "http://１２７.０.０.１/", "http://127。0。0。1/", "http://①②⑦.⓪.⓪.①/",
    "http://[::1]/", "http://[::]/", "http://[0:0:0:0:0:0:0:1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:a00:1]/",
    "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[64:ff9b::10.0.0.1]/", "http://[64:ff9b:1::a00:1]/",
    "http://[2002:7f00:1::]/", "http://[2002:a00:1::1]/", "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    "http://[2001:0:7f00:1::5db8:d822]/", "http://[fe80::1]/", "http://[fc00::1]/", "http://[fd12:3456::1]/",
    "http://[fec0::1]/", "http://[ff02::1]/", "http://[2001:db8::1]/", "http://[::ffff:0:127.0.0.1]/",
    "http://[2a00:1450::5efe:10.0.0.1]/",
    "http://localhost/", "http://LOCALHOST./", "http://app.localhost/", "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "http://printer.local/",
    "http://metadata.google.internal/", "http://router/", "http://inside.test/", "http://mixed.test/",
]  # fmt: skip
MALFORMED = [
    "http://user:pass@site.test/", "http://93.184.216.34@127.0.0.1/", "http://site.test\\@127.0.0.1/",
    "http://127.0.0.1\t.site.test/", "http://site.test /", "http://site.test\r\nX: y/", "http://%6c%6fcalhost/",
    "http://[fe80::1%25eth0]/", "http://[::1/", "http://]/", "http://", "http:///etc/passwd", "http://1.2.3.4.5/",
    "http://0x7g.1/", "http://999.1.1.1/", "http://a..b/", "http://site.test:0/", "http://site.test:99999/",
    "http://site.test:8o/", "http://-/\x00", "http://\ud800.test/", "http://" + "a" * 300 + ".test/",
    "http://site.test/" + "x" * 2001, "file:///etc/passwd", "gopher://site.test/_x", "data:text/html,hello",
    "ftp://site.test/", "javascript:alert(1)", "unix:///run/x", "//site.test/", "http:/site.test/", "dict://site.test:11211",
]  # fmt: skip


@pytest.mark.parametrize("url", LEADS_INSIDE, ids=ascii)
async def test_net_1_an_address_that_leads_inside_is_refused(fetcher: WebFetcher, site: HttpDouble, url: str) -> None:
    with pytest.raises(InvalidRequest, match="private network"):
        await fetcher.fetch(url)
    assert site.requests == []


@pytest.mark.parametrize("url", MALFORMED, ids=lambda url: ascii(url)[:40])
async def test_net_1_a_crooked_address_is_refused(fetcher: WebFetcher, site: HttpDouble, url: str) -> None:
    with pytest.raises(InvalidRequest):
        await fetcher.fetch(url)
    assert site.requests == []


@pytest.mark.parametrize("port", [22, 25, 6379, 8000, 11434])
async def test_net_1_ports_other_than_80_and_443_are_refused(fetcher: WebFetcher, port: int) -> None:
    with pytest.raises(InvalidRequest, match="80 and 443"):
        await fetcher.fetch(f"http://93.184.216.34:{port}/")
    with pytest.raises(InvalidRequest, match="80 and 443"):
        await fetcher.fetch(f"http://site.test:{port}/")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("64:ff9b::5db8:d822", True),
        ("::ffff:93.184.216.34", True),
        ("2002:5db8:d822::1", True),
        ("100.127.255.255", False),
        ("fe80::1%eth0", False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_net_1_wrapped_addresses_are_judged_by_what_is_inside(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("HTTP://Example.ORG.:80/a?b#c", "http://example.org/a?b"),
        ("https://example.org:443", "https://example.org/"),
        ("example.org/path", "https://example.org/path"),
        ("https://bücher.example/ü?q=ä", "https://xn--bcher-kva.example/%C3%BC?q=%C3%A4"),
        ("http://[2606:2800:220:1::1]?x", "http://[2606:2800:220:1::1]/?x"),
        ("http://example.org/%7Euser/%zz", "http://example.org/%7Euser/%zz"),
        ("http://0x5db8d822/", "http://93.184.216.34/"),
    ],
)
def test_an_address_has_one_spelling(given: str, url: str) -> None:
    assert read_address(given).url == url


# ---- pinning and redirects ------------------------------------------------------------------------------


async def test_net_1_the_checked_address_is_connected_to_whatever_the_name_says_next(site: HttpDouble) -> None:
    names = Names(rebind_test=[["127.0.0.1"], ["127.0.0.99"]])
    fetcher = WebFetcher([f"rebind.test:{port_of(site)}"], resolver=names, seconds=1.5)
    page = await fetcher.fetch(f"http://rebind.test:{port_of(site)}/plain")
    assert page.body == b"just\r\ntext"
    assert names.asked == ["rebind.test"]
    assert site.requests[0].headers["host"] == f"rebind.test:{port_of(site)}"


async def test_net_1_a_name_that_turns_private_between_redirects_is_refused() -> None:
    names = Names(turns_test=[["93.184.216.34"], ["127.0.0.1"]])
    fetcher = WebFetcher(resolver=names, seconds=1.0)
    first = await fetcher._checked(read_address("http://turns.test/"))
    assert first == ["93.184.216.34"]
    with pytest.raises(InvalidRequest, match="private network"):
        await fetcher.fetch("http://turns.test/")


async def test_the_next_address_is_tried_when_the_first_does_not_answer(site: HttpDouble) -> None:
    names = Names(two_test=[["127.0.0.2", "127.0.0.1"]])
    fetcher = WebFetcher([f"two.test:{port_of(site)}"], resolver=names, seconds=3.0)
    assert (await fetcher.fetch(f"http://two.test:{port_of(site)}/plain")).content_type == "text/plain"


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://169.254.169.254/",
        "http://inside.test/",
        "http://localhost/",
        "file:///etc/passwd",
        "gopher://site.test/",
        "http://u:p@site.test/",
        "http://[broken/",
    ],
)
async def test_net_1_every_redirect_is_checked(fetcher: WebFetcher, site: HttpDouble, base: str, target: str) -> None:
    with pytest.raises(InvalidRequest):
        await fetcher.fetch(f"{base}/to?url={target}")
    assert len(site.requests) == 1


async def test_net_1_a_redirect_to_another_port_of_an_allowed_host_is_refused(fetcher: WebFetcher, base: str) -> None:
    with pytest.raises(InvalidRequest, match="80 and 443"):
        await fetcher.fetch(f"{base}/to?url=http://site.test:22/")


async def test_net_1_three_redirects_are_followed_and_four_are_not(
    fetcher: WebFetcher, site: HttpDouble, base: str
) -> None:
    page = await fetcher.fetch(f"{base}/hops/3")
    assert (page.url, page.body) == (f"{base}/hops/0", b"<p>arrived")
    site.requests.clear()
    with pytest.raises(ServiceFailed, match="more than 3 times"):
        await fetcher.fetch(f"{base}/hops/9")
    assert len(site.requests) == 4


async def test_net_1_the_certificate_and_the_server_name_are_those_of_the_name(tmp_path: Path) -> None:
    asked: list[str | None] = []
    server_side, client_side = _certificate(tmp_path, "secure.test")
    server_side.sni_callback = lambda connection, name, context: asked.append(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\nsecret")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_side)
    port = server.sockets[0].getsockname()[1]
    names = Names(secure_test=[["127.0.0.1"]], other_test=[["127.0.0.1"]])
    fetcher = WebFetcher([f"secure.test:{port}", f"other.test:{port}"], resolver=names, tls=client_side, seconds=5.0)
    async with server:
        assert (await fetcher.fetch(f"https://secure.test:{port}/")).body == b"secret"
        with pytest.raises(ServiceFailed):
            await fetcher.fetch(f"https://other.test:{port}/")
    assert asked == ["secure.test", "other.test"]


def _certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server with a certificate for this name, and of a client that trusts it alone."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(path)
    return server_side, ssl.create_default_context(cafile=str(path))


async def test_net_1_proxies_of_the_environment_are_ignored(
    fetcher: WebFetcher, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await fetcher.fetch(f"{base}/plain")).body


async def test_net_1_no_cookie_and_no_credential_is_sent(fetcher: WebFetcher, site: HttpDouble, base: str) -> None:
    await fetcher.fetch(f"{base}/cookie")
    sent = site.requests[-1].headers
    assert sent.keys() == {"host", "user-agent", "accept", "accept-encoding", "connection"}
    assert sent["user-agent"].startswith("Hearth/")


# ---- size, time, type -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/huge", "more than 2 MB"),
        ("/bomb", "more than 2 MB"),
        ("/slow", "within 1.5 seconds"),
        ("/image", "only text"),
        ("/svg", "only text"),
        ("/untyped", "only text"),
        ("/brotli", "not asked for"),
        ("/twice", "not asked for"),
        ("/torn", "broke off"),
        ("/missing", "no page"),
        ("/private", "without signing in"),
        ("/broken", "error (500)"),
        ("/binary", "binary data"),
    ],
)
async def test_net_1_what_cannot_be_read_is_said_in_a_sentence(
    fetcher: WebFetcher, base: str, path: str, sentence: str
) -> None:
    outcome = await called(fetcher, base + path)
    assert sentence in (outcome.error or "")
    assert "Traceback" not in outcome.observation


async def test_net_1_exactly_two_megabytes_are_read(fetcher: WebFetcher, base: str) -> None:
    assert len((await fetcher.fetch(f"{base}/large")).body) == 2 * 1_048_576


async def test_net_1_a_body_that_drips_is_stopped() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
        gone = asyncio.create_task(reader.read())
        while not gone.done():
            writer.write(b"x")
            await asyncio.sleep(0.02)
        writer.close()
        ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    fetcher = WebFetcher([f"drip.test:{port}"], resolver=Names(drip_test=[["127.0.0.1"]]), seconds=0.5)
    async with server:
        with pytest.raises(ServiceFailed, match=r"within 0\.5 seconds"):
            await fetcher.fetch(f"http://drip.test:{port}/")
        await asyncio.wait_for(ended.wait(), 5)


async def test_an_unknown_name_and_a_dead_server_are_said_so(site: HttpDouble) -> None:
    fetcher = WebFetcher(["dead.test:9"], resolver=Names(dead_test=[["127.0.0.1"]]))
    with pytest.raises(ServiceFailed, match=r"No server named nowhere\.test"):
        await fetcher.fetch("https://nowhere.test/")
    with pytest.raises(ServiceFailed, match="cannot be reached"):
        await fetcher.fetch("http://dead.test:9/")


async def test_the_message_does_not_tell_what_a_name_resolves_to(fetcher: WebFetcher) -> None:
    with pytest.raises(HearthError) as caught:
        await fetcher.fetch("http://inside.test/")
    assert "10.1" not in caught.value.message


# ---- the text ------------------------------------------------------------------------------------------------


async def test_a_page_becomes_its_title_main_text_and_links(fetcher: WebFetcher, base: str) -> None:
    outcome = await called(fetcher, f"{base}/")
    assert outcome.error is None
    source = outcome.result.sources[0]
    assert (source.kind, source.title, source.url) == ("web", "The Garden", f"{base}/")
    for line in (
        "# The Garden",
        "Roses & lilies grow here.",
        "- Red rose",
        "Plant | Height",
        "Rose | 120 cm",
        "line two",
    ):
        assert line in source.quote.split("\n")
    for unseen in ("HIDDEN", "scripted", "track()", "color:red", "Imprint", "all the sections"):
        assert unseen not in outcome.observation
    assert [link["url"] for link in outcome.result.data["links"]] == [f"{base}/roses", "https://lilies.example/"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/latin", "Größe"),
        ("/meta", "Привет"),
        ("/plain", "just\ntext"),
        ("/json", '{"answer":42}'),
        ("/feed", "<?xml version='1.0'?><rss>News</rss>"),
        ("/packed", "unpacked"),
    ],
)
async def test_text_of_many_kinds_is_read(fetcher: WebFetcher, base: str, path: str, text: str) -> None:
    assert (await called(fetcher, base + path)).result.sources[0].quote == text


async def test_a_charset_that_is_none_is_not_used(fetcher: WebFetcher, base: str) -> None:
    outcome = await called(fetcher, f"{base}/codec")
    assert "xxxx" not in outcome.observation


@pytest.mark.parametrize("path", ["/empty", "/deep"])
async def test_a_page_without_text_says_why(fetcher: WebFetcher, base: str, path: str) -> None:
    assert "no readable text" in (await called(fetcher, base + path)).result.text


async def test_a_page_that_names_another_encoding_in_its_text_is_read(fetcher: WebFetcher, base: str) -> None:
    assert (await called(fetcher, f"{base}/declared")).result.sources[0].quote == "declared"


async def test_a_long_page_is_cut_and_says_so(fetcher: WebFetcher, base: str) -> None:
    outcome = await called(fetcher, f"{base}/long", max_chars=500)
    assert len(outcome.result.sources[0].quote) == 500
    assert "the first 500 of" in outcome.result.text
    assert outcome.result.data["truncated"] is True


async def test_inj_1_the_page_is_fenced_and_its_template_tokens_are_broken(fetcher: WebFetcher, base: str) -> None:
    observation = (await called(fetcher, f"{base}/tokens")).observation
    first, *_, last = observation.split("\n")
    assert FENCE in first and "fetch_url" in first and FENCE in last
    for token in ("<|im_start|>", "[INST]", "<s>"):
        assert token not in observation
    assert "Hello" in observation


@pytest.mark.slow
async def test_html_is_taken_apart_in_a_process_of_its_own(fetcher: WebFetcher, base: str) -> None:
    worker = ProcessWorker()
    try:
        tool = FetchUrl(fetcher, worker)
        outcome = await Toolbox({"fetch_url": tool}, run_context()).call("fetch_url", {"url": f"{base}/"})
        assert outcome.error is None
        assert outcome.result.sources[0].title == "The Garden"
    finally:
        await worker.aclose()


def test_inj_2_the_address_the_model_wrote_is_told(fetcher: WebFetcher) -> None:
    tool = FetchUrl(fetcher, InlineWorker())
    assert tool.addresses(tool.Args(url="https://a.example/x?y=1")) == ["https://a.example/x?y=1"]
    assert (tool.untrusted, tool.outbound) == (True, True)


@pytest.mark.parametrize(
    ("query", "url", "sure"),
    [
        ("Summarize https://example.org/a_(b).", "https://example.org/a_(b)", True),
        ("Was steht auf https://example.org/?", "https://example.org/", True),
        ("résume (https://example.org/x)", "https://example.org/x", True),
        ("https://example.org/x", "https://example.org/x", True),
        ("Write a regex that matches https://example.org/x", "https://example.org/x", False),
        ("Is https://example.org/x valid?", "https://example.org/x", False),
    ],
)
def test_an_address_in_a_query_is_proposed(query: str, url: str, sure: bool) -> None:
    [(found, confidence)] = find_addresses(query)
    assert found == url
    assert (confidence >= 0.8) is sure


def test_nothing_is_proposed_without_an_address() -> None:
    assert find_addresses("read the page about gardens at example dot org") == []


def test_the_allowed_host_is_only_that_host() -> None:
    fetcher = WebFetcher(["wiki.corp", "[::1]:8080"])
    allowed = {
        url: fetcher._is_allowed(read_address(url))
        for url in (
            "http://wiki.corp/", "https://WIKI.corp./x", "http://wiki.corp:8080/", "http://evil-wiki.corp/",
            "http://wiki.corp.evil.example/", "http://a.wiki.corp/", "http://[0::1]:8080/", "http://[::1]/",
        )
    }  # fmt: skip
    assert [urlsplit(url).netloc for url, is_allowed in allowed.items() if is_allowed] == [
        "wiki.corp",
        "WIKI.corp.",
        "[0::1]:8080",
    ]
