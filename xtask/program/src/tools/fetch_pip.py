"""Brings the pinned pip where no pip and no venv exist.

  fetch_pip.py fetch VERSION FOLDER SHA256...   unpacks the wheel into FOLDER
  fetch_pip.py index                            prints the package index in use, without credentials

Obeys what pip would: PIP_INDEX_URL, PIP_FIND_LINKS, PIP_NO_INDEX, PIP_CERT and PIP_PROXY, the same keys in pip's
configuration files, and the proxy and certificate variables of the system. Nothing is unpacked before its SHA-256
is among those given. Prints progress in pip's raw form. Exit codes: 0 done, 3 not reached, 4 another file.
"""

import base64
import compileall
import configparser
import hashlib
import html.parser
import importlib.util
import io
import json
import os
import pathlib
import re
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile

NOT_REACHED, ANOTHER_FILE = 3, 4


def configured(key):
    """One setting of pip: the environment, else the configuration file that pip reads last."""
    value = os.environ.get("PIP_" + key.upper().replace("-", "_"))
    if value:
        return value
    home = pathlib.Path.home()
    user = pathlib.Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", home / ".pip/pip.conf", user / "pip/pip.conf"]
    chosen = os.environ.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        files = []
    elif chosen:
        files.append(chosen)
    reader = configparser.RawConfigParser()
    reader.read(files)
    for section in ("install", "global"):
        for spelling in (key, key.replace("-", "_")):
            value = reader.get(section, spelling, fallback="").strip()
            if value:
                return value
    return ""


def default_index():
    """Python's own index, as the installed pip or else the standard library writes it."""
    for module, beside in (("pip", "_internal/models/index.py"), ("unittest.mock", "mock.py")):
        try:
            origin = importlib.util.find_spec(module).origin
            text = (pathlib.Path(origin).parent / beside).read_text(encoding="utf-8")
        except (AttributeError, ImportError, OSError):
            continue
        found = re.search(r"https://pypi\.\w+(?=/)", text)
        if found:
            return found.group() + "/simple"
    return ""


def index():
    return configured("index-url") or default_index()


def without_credentials(url):
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def opener():
    certificates = configured("cert") or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    folder = certificates if certificates and os.path.isdir(certificates) else None
    context = ssl.create_default_context(cafile=None if folder else certificates or None, capath=folder)
    handlers = [urllib.request.HTTPSHandler(context=context)]
    proxy = configured("proxy")
    if proxy:
        handlers.append(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
    return urllib.request.build_opener(*handlers)


def request(url, accept):
    parts = urllib.parse.urlsplit(url)
    headers = {"Accept": accept, "User-Agent": "flowship"}
    if parts.username is not None:
        login = urllib.parse.unquote(parts.username) + ":" + urllib.parse.unquote(parts.password or "")
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    return urllib.request.Request(without_credentials(url), headers=headers)


class Links(html.parser.HTMLParser):
    def __init__(self, base):
        super().__init__()
        self.base, self.found = base, []

    def handle_starttag(self, tag, attributes):
        target = dict(attributes).get("href")
        if tag == "a" and target:
            self.found.append(urllib.parse.urljoin(self.base, target))


def listed(open_url, page):
    """The addresses of the files on a page of an index, be it JSON or HTML."""
    accept = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
    with open_url(request(page, accept), timeout=30) as answer:
        base, kind, body = answer.geturl(), answer.headers.get_content_type(), answer.read()
    if kind.endswith("json"):
        return [urllib.parse.urljoin(base, file["url"]) for file in json.loads(body)["files"]]
    links = Links(base)
    links.feed(body.decode("utf-8", "replace"))
    return links.found


def places(version):
    """Wheels of this version: those in local folders first, then those of the index."""
    wheel = f"pip-{version}-py3-none-any.whl"
    for place in configured("find-links").split():
        if place.startswith("file:"):
            place = urllib.request.url2pathname(urllib.parse.urlsplit(place).path)
        file = pathlib.Path(place).expanduser() / wheel
        if file.is_file():
            yield file.absolute().as_uri()
    if configured("no-index") in ("", "0", "false", "no", "off"):
        page = index().rstrip("/") + "/pip/"
        for address in listed(opener().open, page):
            if urllib.parse.urlsplit(address).path.endswith("/" + wheel):
                # A private index may want the login for its files too, as pip sends it.
                yield with_login(address, page)


def with_login(address, page):
    login, at, host = urllib.parse.urlsplit(page).netloc.rpartition("@")
    parts = urllib.parse.urlsplit(address)
    return urllib.parse.urlunsplit(parts._replace(netloc=login + at + host)) if parts.netloc == host else address


def download(address):
    received = io.BytesIO()
    with opener().open(request(address, "*/*"), timeout=30) as answer:
        total = int(answer.headers.get("Content-Length") or 0)
        while block := answer.read(1 << 16):
            received.write(block)
            print(f"Progress {received.tell()} of {total}", flush=True)
    if total and received.tell() != total:
        raise OSError(f"{without_credentials(address)} ended after {received.tell()} of {total} bytes")
    return received


def fetch(version, folder, sums):
    try:
        for address in places(version):
            wheel = download(address)
            found = hashlib.sha256(wheel.getvalue()).hexdigest()
            if found not in sums:
                name = without_credentials(address)
                print(f"{name}: its SHA-256 is {found}, which is not among the locked ones", file=sys.stderr)
                return ANOTHER_FILE
            zipfile.ZipFile(wheel).extractall(folder)
            # Now, and never again: what is added to an installed program later is taken for a change of it.
            compileall.compile_dir(folder, quiet=2)
            return 0
        print(f"no place offers the wheel of pip {version}", file=sys.stderr)
    except (OSError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    return NOT_REACHED


if __name__ == "__main__":
    if sys.argv[1] == "index":
        print(without_credentials(index()))
    else:
        sys.exit(fetch(sys.argv[2], sys.argv[3], sys.argv[4:]))
