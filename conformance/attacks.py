"""What attackers have sent to other servers in HTTP/1.1, and what has to come back.

Each attack is the advisory's name, the bytes, and the answers: a number is a refusal, after which the connection ends;
a text is what the application was asked (apps/attacked.py). After an attack without a refusal the connection serves an
ordinary request, which shows that server and client agree on where the last one ended.
"""

from __future__ import annotations

from dataclasses import dataclass

HOST = "Host: a\r\n"
GET = f"GET / HTTP/1.1\r\n{HOST}"
POST = f"POST / HTTP/1.1\r\n{HOST}"
CHUNKED = f"{POST}Transfer-Encoding: chunked\r\n\r\n"
EVIL = f"GET /evil HTTP/1.1\r\n{HOST}\r\n"
BOTH = "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n"
GOT, POSTED, ABC = "GET / b''", "POST / b''", "POST / b'abc'"


@dataclass(frozen=True)
class Attack:
    id: str
    sent: str  # one byte per character
    answers: tuple[int | str, ...]


def attack(id: str, sent: str, *answers: int | str) -> Attack:
    return Attack(id, sent, answers or (400,))


def value(text: str, name: str = "X") -> str:
    """A request with this field, and the attacker's own behind it."""
    return f"{GET}{name}: {text}\r\n\r\n{EVIL}"


def body(fields: str, content: str = f"0\r\n\r\n{EVIL}") -> str:
    """A request with these framing fields."""
    return f"{POST}{fields}\r\n{content}"


def chunks(content: str) -> str:
    """A chunked body, and the attacker's own request behind it."""
    return CHUNKED + content + EVIL


# Advisories against servers of Python, and those for net/http that can be told from outside.
ADVISORIES = (
    attack("cve_2024_1135", body("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n")),
    attack("cve_2024_1135", body("Transfer-Encoding: identity, chunked\r\nContent-Length: 3\r\n")),
    attack("cve_2024_6827", body("Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n", f"abc{EVIL}")),
    attack("cve_2024_6827", body("Transfer-Encoding: xchunked\r\n")),
    attack("gunicorn_26_unread_body", f"POST /unread HTTP/1.1\r\n{HOST}Content-Length: {len(EVIL)}\r\n\r\n{EVIL}",
           "POST /unread b''"),
    attack("gunicorn_26_two_hosts", f"{GET}Host: b\r\n\r\n{EVIL}"),
    attack("gunicorn_26_list_of_lengths", body("Content-Length: 3, 3\r\n", f"abc{EVIL}")),
    attack("gunicorn_26_control_characters", value("a\x01b")),
    attack("gunicorn_26_control_characters", value("a\x7fb")),
    attack("gunicorn_26_framing_in_trailers", chunks("3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n")),
    attack("gunicorn_26_framing_in_trailers", chunks("3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n")),
    attack("gunicorn_26_framing_in_trailers", chunks("3\r\nabc\r\n0\r\nHost: b\r\n\r\n")),
    attack("gunicorn_26_proxy_header", f"PROXY TCP4 198.51.100.1 198.51.100.2 1 2\r\n{EVIL}"),
    attack("cve_2025_43859", chunks("5\r\nhelloXX0\r\n\r\n")),
    attack("cve_2026_44546", value("a\x0bb")),
    attack("cve_2026_44546", value("a\x0cb")),
    attack("cve_2026_44546", value("a\x1cb")),
    attack("cve_2026_44546", value("a\x1db")),
    attack("cve_2026_44546", value("a\x1eb")),
    attack("cve_2026_44546", value("a\x85b")),
    attack("daphne_497", f"{GET}X(: y\r\n\r\n{EVIL}"),
    attack("daphne_497", f"{GET}X\xef: y\r\n\r\n{EVIL}"),
    attack("cve_2019_16785", f"GET / HTTP/1.1\n{HOST}\n{EVIL}"),
    attack("cve_2019_16785", f"{GET}X: y\nContent-Length: 3\r\n\r\n{EVIL}"),
    attack("cve_2019_16786", body("Transfer-Encoding: chunked, gzip\r\n")),
    attack("cve_2019_16786", body("Content-Length: 6\r\nTransfer-Encoding: chunked, identity\r\n")),
    attack("cve_2019_16789", body("Content-Length: 6\r\nTransfer-Encoding: \x0bchunked\r\n")),
    attack("cve_2019_16792", body("Content-Length: 6\r\nContent-Length: 6\r\n")),
    attack("cve_2020_5236", f"{GET}X:{' ' * 60_000}x{' ' * 4_000}\r\n\r\n", GOT),
    attack("cve_2020_5236", f"{GET}X: {'x' * 60_000}\x10\r\n\r\n{EVIL}"),
    attack("cve_2022_24761", body("Content-Length: +3\r\n", f"abc{EVIL}")),
    attack("cve_2022_24761", body("Content-Length: 0x3\r\n", f"abc{EVIL}")),
    attack("cve_2022_24761", body("Content-Length: 0_3\r\n", f"abc{EVIL}")),
    attack("cve_2022_24761", chunks("+3\r\nabc\r\n0\r\n\r\n")),
    attack("cve_2022_24761", chunks("0x3\r\nabc\r\n0\r\n\r\n")),
    attack("cve_2022_24761", chunks("0_3\r\nabc\r\n0\r\n\r\n")),
    attack("cve_2022_24761", chunks("3;a=\x01\r\nabc\r\n0\r\n\r\n")),
    attack("cve_2024_49768", f"GET / HTTP/1.1\r\n\r\n{EVIL}"),
    attack("cve_2024_49768", f"{GET}X: {'y' * 70_000}\r\n\r\n{EVIL}", 431),
    attack("cve_2018_6758", f"GET /{'a' * 9_000} HTTP/1.1\r\n{HOST}\r\n{EVIL}", 414),
    attack("cve_2023_41419", f"{CHUNKED}3\r\nabc\r\n0\r\n{EVIL}"),
    attack("cve_2025_58068", f"{CHUNKED}3\r\nabc\r\n0\r\nX-A: {EVIL.split()[1]}\r\nX-B: b\r\n\r\n", ABC),
    attack("cve_2022_24801", body("Content-Length: +3\r\n", f"abc{EVIL}")),
    attack("cve_2022_24801", chunks("-3\r\nabc\r\n0\r\n\r\n")),
    attack("cve_2022_24801", chunks("3\r\nabcX\r\n0\r\n\r\n")),
    attack("cve_2022_24801", f"{POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{EVIL}"),
    attack("cve_2023_46137", "".join(f"GET /{n} HTTP/1.1\r\n{HOST}\r\n" for n in range(20)),
           *(f"GET /{n} b''" for n in range(20))),
    attack("cve_2024_41671", f"{CHUNKED}3\r\nabc\r\n0\r\n\r\nGET /2 HTTP/1.1\r\n{HOST}\r\n", ABC, "GET /2 b''"),
    attack("cve_2025_22871", chunks("3\nabc\r\n0\r\n\r\n")),
    attack("cve_2023_39326", CHUNKED + "1;a=bcdefghij\r\nx\r\n" * 1_000),
    attack("cve_2022_1705", body("Content-Length: 6\r\nTransfer-Encoding: \x00chunked\r\n")),
    attack("cve_2022_1705", body("Transfer-Encoding: chunkedchunked\r\n")),
    attack("cve_2022_2880", f"GET /?a=1;b=%zz&c HTTP/1.1\r\n{HOST}\r\n", "GET /?a=1;b=%zz&c b''"),
    attack("cve_2023_24534", f"{GET}{'X: y' * 3}\r\n" + "X: y\r\n" * 101 + f"\r\n{EVIL}", 431),
    attack("cve_2025_58186", f"{GET}Cookie: {'a=;' * 20_000}\r\n\r\n", GOT),
    attack("cve_2025_58186", f"{GET}" + "Cookie: a=\r\n" * 101 + f"\r\n{EVIL}", 431),
)  # fmt: skip

# HTTP Garden's findings in servers and in proxies, by their numbers in its lists.
GARDEN = (
    attack("garden_s1", chunks("0_2e\r\n\r\n")),
    attack("garden_s2", value("v\x00\ralue")),
    attack("garden_s3", f"{GET}Content-Length : 34\r\n\r\n{EVIL}"),
    attack("garden_s4", f"GET / HTTP/1.1\r\n\tContent-Length: 1\r\n{HOST}\r\nX{EVIL}"),
    attack("garden_s5", f"GET / HTTP/1.32\r\n{HOST}\r\n{EVIL}"),
    attack("garden_s6", f'G=":<>(e),[T];?" / HTTP/1.1\r\n{HOST}\r\n{EVIL}'),
    attack("garden_s7", f"GET ! HTTP/1.1\r\n{HOST}\r\n{EVIL}"),
    attack("garden_s8", f"{GET}\xeffoo: bar\r\n\r\n{EVIL}"),
    attack("garden_s9", f"GET /\nHTTP/1.1\r\n{HOST}\r\n{EVIL}"),
    attack("garden_s10", body("Content-Length: +1_0\r\n", f"0123456789{EVIL}")),
    attack("garden_s11", body("Transfer-Encoding: chunked\r\n" * 2, f"1\r\nZ\r\n0\r\n\r\n{EVIL}")),
    attack("garden_s12", body("Transfer-Encoding: \xa0chunked\xa0\r\n")),
    attack("garden_s13", value(":/\rSmuggled: :)")),
    attack("garden_s14", f"{GET}\x01\x02\x08\x0b\x0c\x1f \"(),/;<=>?@[/]{{}}: y\r\n\r\n{EVIL}"),
    attack("garden_s15", f"GET / HTTP/\r\r1.1\r\n{HOST}\r\n{EVIL}"),
    attack("garden_s16", body("Content-Length: \r\n", EVIL)),
    attack("garden_s17", chunks("\r\n\r\n")),
    attack("garden_s18", f"GET / HTTP/1.1\r\n: ignored\r\n{HOST}\r\n{EVIL}"),
    attack("garden_s19", f"{GET}X:\n\n{EVIL}"),
    attack("garden_s20", f"{GET}Content-Length\x85: 10\r\n\r\n0123456789{EVIL}"),
    attack("garden_s21", body("Transfer-Encoding: ,chunked\r\n")),
    attack("garden_s22", chunks("5these bytes\r\nhello\r\n0\r\n\r\n")),
    attack("garden_s23", body("Content-Length: 1\r\nContent-Length: 0\r\n", f"Z{EVIL}")),
    attack("garden_s24", f"GET / HTTP/4294967295.255\r\n{HOST}\r\n{EVIL}"),
    attack("garden_s25", chunks("0x5\r\nhello\r\n0\r\n\r\n")),
    attack("garden_s26", body("Content-Length: -48\r\n")),
    attack("garden_s27", f"{GET}:\r\nI: am chopped off\r\n\r\n{EVIL}"),
    attack("garden_s28", f"{GET}Content-Length 10\r\n\r\n0123456789{EVIL}"),
    attack("garden_s29", body("Content-Length: 1Z\r\n", f"Z{EVIL}")),
    attack("garden_s30", f"{GET}\r\n\rZ{EVIL}", GOT, 400),
    attack("garden_s30", f"{GET}\rZ: z\r\n\r\n{EVIL}"),
    attack("garden_s31", chunks("5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n")),
    attack("garden_s32", body("Content-Length: 010\r\n", "0123456789"), "POST / b'0123456789'"),
    attack("garden_s33", body("Content-Length: 0\r\nContent-Length: 1\r\n", f"Z{EVIL}")),
    attack("garden_s34", value("va\rlue")),
    attack("garden_s35", value("test\x00these bytes get dropped")),
    attack("garden_s36", chunks("5;a=b\r\rXX\r\nhello\r\n0\r\n\r\n")),
    attack("garden_s37", body("Transfer-\r\nEncoding: chunked\r\nContent-Length: 5\r\n")),
    attack("garden_s38", f"{GET}Content-Length: \r\n\r\n{EVIL}"),
    attack("garden_s39", f"{CHUNKED}0\r\nX:{EVIL.splitlines()[0]}\r\n\r\n", POSTED),
    attack("garden_s40", f"\x00 / HTTP/............0596.7407.\r\n\r\n{EVIL}"),
    attack("garden_s41", value("\x85admin\xa0", "User")),
    attack("garden_s42", body(f"Content-Length: \r\nContent-Length: {len(EVIL)}\r\n", EVIL)),
    attack("garden_s43", value("evil\x00")),
    attack("garden_s44", body("Transfer-Encoding: blegh\r\n", f"1\r\nZ\r\n0\r\n\r\n{EVIL}")),
    attack("garden_s45", f"{GET}\r\nInvalid\r\n\r\n", GOT, 400),
    attack("garden_s46", f"GET / HTTP/1.1\r\nHost: \xffa\xff\r\n\r\n{EVIL}"),
    attack("garden_s46", body("Transfer-Encoding: \xffchunked\xff\r\n")),
    attack("garden_s47", chunks("INVALID!!!\r\n")),
    attack("garden_s48", f"{POST}Content-Length: 0\r\n\r\n{POST}Content-Length: 3\r\n\r\nabc{GET}\r\n",
           POSTED, ABC, GOT),
    attack("garden_t1", body("Content-Length: 0x10\r\n", f"Z{EVIL}")),
    attack("garden_t2", chunks("Z\r\nZZ\r\nZZZ\r\n\r\n")),
    attack("garden_t3", chunks("2\r\r;a\r\n02\r\n41\r\n0\r\n\r\n")),
    attack("garden_t4", chunks("1\r0\n")),
    attack("garden_t5", f"{GET}Content-Length:\r\n\r\n{EVIL}"),
    attack("garden_t6", f"{GET}X\x85: y\r\n\r\n{EVIL}"),
    attack("garden_t6", f"{GET}X@: y\r\n\r\n{EVIL}"),
    attack("garden_t7", chunks("1nobody-looks-at-this\r\nZ\r\n0\r\n\r\n")),
    attack("garden_t9", body("Transfer-Encoding: ,chunked\r\nContent-Length: 5\r\n")),
    attack("garden_t10", value("a\rb\rc")),
    attack("garden_t11", body(f"content-length: \r\ncontent-length: {len(EVIL)}\r\n", f"{EVIL}{EVIL}")),
    attack("garden_t12", f"GET / HTTP/1.1\r\nHost: a\x00.b\r\n\r\n{EVIL}"),
    attack("garden_t13", chunks("a\r\n0123456789\n0\r\n\r\n")),
    attack("garden_t14", f"{GET}Te\nst: test\r\n\r\n{EVIL}"),
    attack("garden_t15", body("Transfer-Encoding: ,chunked\r\nContent-Length: 5\r\nConnection: close\r\n")),
    attack("garden_t16", f"GET / HTTP/1.1\nHost: a\nConnection: close\n\n{EVIL}"),
    attack("garden_t17", chunks("1\r\na\r\n\r\n0\r\n\r\n")),
    attack("garden_t18", f"{GET}Transfer-Encoding: ,chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{EVIL}"),
    attack("garden_t19", chunks("-0x0\r\n\r\n")),
    attack("garden_t20", f"{GET}a:b\r\nc\x00\r\n\r\n{EVIL}"),
    attack("garden_t21", f"{GET}Content-Length: 10\r\n\r\n1234567890", "GET / b'1234567890'"),
    attack("garden_t22", body(f"Content-Length: 0\r\nContent-Length: {len(EVIL)}\r\n", EVIL)),
    attack("garden_t23", body("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
    attack("garden_t24", chunks("   0\r\n\r\n")),
    attack("garden_t25", body("Transfer-Encoding: chunked\r\n" * 2)),
)  # fmt: skip

# PortSwigger's techniques for two servers that are to disagree on where a request ends.
DESYNC = (
    attack("desync_cl_te", body(BOTH, "0\r\n\r\nG")),
    attack("desync_te_cl", body("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", f"1\r\nZ\r\n0\r\n\r\n{EVIL}")),
    attack("desync_te_te", body("Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n")),
    attack("desync_te_te", body("Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n")),
    attack("desync_te_te", body("Content-Length: 5\r\nTransfer-Encoding\r\n : chunked\r\n")),
    attack("desync_te_te", body("Content-Length: 5\r\nX: X\nTransfer-Encoding: chunked\r\n")),
    attack("desync_te_te", body("Content-Length: 5\r\nTransfer-Encoding: chunk\r\n")),
    attack("desync_te_te", body('Content-Length: 5\r\nTransfer-Encoding: "chunked"\r\n')),
    attack("desync_te_0", f"{CHUNKED}0\r\n\r\n{GET}\r\n", POSTED, GOT),
    attack("desync_cl_0", f"GET /unread HTTP/1.1\r\n{HOST}Content-Length: {len(EVIL)}\r\n\r\n{EVIL}",
           "GET /unread b''"),
    attack("desync_cl_0", f"{POST}Content-Length: {len(EVIL)}\r\n\r\n{EVIL}", f"POST / {EVIL.encode()!r}"),
    attack("desync_0_cl", f"{GET}Content-Length:\r\n {len(EVIL)}\r\n\r\n{EVIL}"),
    attack("desync_0_cl", f"{GET}\x0cContent-Length: {len(EVIL)}\r\n\r\n{EVIL}"),
    attack("desync_hidden_field", f"{POST}Content-Length:\x0b3\r\n\r\nabc{EVIL}"),
    attack("desync_hidden_field", f"{POST} Content-Length: 3\r\n\r\nabc{EVIL}"),
    attack("desync_hidden_field", f"{POST}Content_Length: 3\r\n\r\n{GET}\r\n", POSTED, GOT),
    attack("desync_visible_field", f"POST / HTTP/1.1\r\nHost: a\r\n Host: b\r\n\r\n{EVIL}"),
    attack("desync_visible_field", f"POST / HTTP/1.1\r\nXost: a\r\n\r\n{EVIL}"),
    attack("desync_expect", f"{POST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", ABC),
    attack("desync_expect", f"{GET}Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", GOT),
    attack("desync_expect_obfuscated", f"{POST}Expect: y 100-continue\r\nContent-Length: 3\r\n\r\nabc{EVIL}", 417),
    attack("desync_expect_obfuscated", f"{POST}Expect: 100-continue, x\r\nContent-Length: 3\r\n\r\nabc{EVIL}", 417),
    attack("desync_expect_obfuscated", f"{POST}Expect:\r\n 100-continue\r\nContent-Length: 3\r\n\r\nabc{EVIL}"),
    attack("desync_connection_state", f"{GET}\r\nGET / HTTP/1.1\r\nHost: b/c\r\n\r\n{EVIL}", GOT, 400),
    attack("desync_connection_names_length", f"{POST}Connection: Content-Length\r\nContent-Length: 3\r\n\r\nabc", ABC),
    attack("desync_http_10", f"POST / HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{EVIL}"),
    attack("desync_absolute_target", f"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n{EVIL}"),
    attack("desync_upgrade", f"{POST}Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc{GET}\r\n",
           ABC, GOT),
    attack("desync_chunk_extension", chunks('3;a="\nb\r\nabc\r\n0\r\n\r\n')),
    attack("desync_chunk_extension", chunks("3;\n0\r\nabc\r\n0\r\n\r\n")),
)  # fmt: skip

ATTACKS = ADVISORIES + GARDEN + DESYNC
