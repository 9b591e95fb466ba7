#!/usr/bin/env python3
"""Stands in for `gh` on GitHub, and for `git` where a test wants to see or break its calls.

As `gh` it keeps the releases of one repository in the folder STUB_STATE, so that a second run sees what the first one
did, and prints what GitHub's API prints. As `git` it calls the real one. Each call is appended to STUB_STATE/calls.

STUB_FAULT=KIND:WHEN:HOW breaks the calls of one kind (see `kind`): WHEN is `before` or `after` the effect, HOW is
`fail` (as without a network), `once` (the same, only the first time) or `kill` (the caller, with SIGKILL).
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

STATE = pathlib.Path(os.environ["STUB_STATE"])
NAME, *WORDS = sys.argv[1:]


@contextlib.contextmanager
def state():
    """The releases and the checks; nobody else changes them meanwhile."""
    with open(STATE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = STATE / "state.json"
        value = json.loads(path.read_text()) if path.exists() else {"next": 101, "releases": [], "checks": []}
        yield value
        beside = STATE / "state.json.new"
        beside.write_text(json.dumps(value, indent=1))
        beside.rename(path)


def options(words):
    """The words that are no options, and the options with their values."""
    plain, found = [], {}
    rest = iter(words)
    for word in rest:
        if word in ("--paginate", "--clobber"):
            found[word] = True
        elif word.startswith("--"):
            found[word] = next(rest)
        else:
            plain.append(word)
    return plain, found


def kind():
    """What kind of call this is, for faults and for the list of calls."""
    if NAME == "git":
        words = list(WORDS)
        while words and words[0] == "-c":
            del words[:2]
        return f"git-{words[0]}"
    plain, found = options(WORDS)
    if plain[0] == "release":
        name = found.get("--pattern") or pathlib.Path(plain[-1]).name
        return f"{plain[1]}-{name}"
    method = found.get("--method", "GET")
    if "/check-runs" in plain[1]:
        return "checks"
    by_id = plain[1].split("?")[0].split("/")[-1].isdigit()
    return {("GET", False): "list", ("GET", True): "get", ("POST", False): "create", ("PATCH", True): "publish",
            ("DELETE", True): "discard"}[(method, by_id)]


def wait():
    """STUB_WAIT=KIND: the call goes on once the file `gate` is gone."""
    if os.environ.get("STUB_WAIT") == KIND:
        while (STATE / "gate").exists():
            time.sleep(0.01)


def rival():
    """STUB_RIVAL=KIND: before such a call somebody else makes a draft of the same tag."""
    if os.environ.get("STUB_RIVAL") == KIND:
        with state() as value:
            value["releases"].append({"id": value["next"], "tag_name": "v0.1.0", "name": "Flowship 0.1.0", "draft": True,
                                      "body": "- The first thing that users get.", "prerelease": False, "assets": []})
            value["next"] += 1


def move():
    """STUB_MOVE=KIND: before such a call somebody else puts the remote's tag at another commit."""
    if os.environ.get("STUB_MOVE") == KIND:
        remote = STATE.parent / "remote.git"
        subprocess.run([real_git(), "-C", remote, "tag", "--force", "v0.1.0", "main~1"], check=True, capture_output=True)


def fault(when):
    wanted = os.environ.get("STUB_FAULT", "").split(":")
    if len(wanted) != 3 or wanted[0] != KIND or wanted[1] != when:
        return
    if wanted[2] == "once":
        if (STATE / "broke").exists():
            return
        (STATE / "broke").touch()
    if wanted[2] == "kill":
        os.kill(os.getppid(), signal.SIGKILL)
    fail("error connecting to api.github.com\ncheck your internet connection or https://githubstatus.com")


def fail(text, code=1):
    print(text, file=sys.stderr)
    sys.exit(code)


def shown(release):
    return {
        "url": f"https://api.github.com/repos/o/r/releases/{release['id']}",
        "html_url": f"https://github.com/o/r/releases/tag/{'untagged-' if release['draft'] else ''}{release['tag_name']}",
        "upload_url": f"https://uploads.github.com/repos/o/r/releases/{release['id']}/assets{{?name,label}}",
        "created_at": "2026-11-24T10:00:00Z",
        "published_at": None if release["draft"] else "2026-11-24T10:05:00Z",
        "author": {"login": "o", "id": 1},
        **release,
    }


def releases_of(value, tag):
    found = [release for release in value["releases"] if release["tag_name"] == tag]
    if not found:
        fail("release not found")
    return found[0]


def api(value, plain, found):
    path = plain[1].split("?")[0]
    last = path.split("/")[-1]
    by_id = [release for release in value["releases"] if str(release["id"]) == last]
    if KIND == "checks":
        runs = value["checks"]
        # Two pages, one JSON value after the other, as older versions of gh print them.
        for page in (runs[:1], runs[1:]):
            print(json.dumps({"total_count": len(runs), "check_runs": page}), end="")
        return
    if KIND == "list":
        listed = [shown(release) for release in reversed(value["releases"])]
        for page in (listed[:1], listed[1:]):
            print(json.dumps(page), end="")
        return
    if KIND == "create":
        assert found["--input"] == "-", found
        body = json.load(sys.stdin)
        release = {**body, "id": value["next"], "assets": []}
        value["next"] += 1
        value["releases"].append(release)
        print(json.dumps(shown(release)))
        return
    if not by_id:
        print(json.dumps({"message": "Not Found", "status": "404"}))
        fail("gh: Not Found (HTTP 404)")
    release = by_id[0]
    if KIND == "discard":
        value["releases"].remove(release)
        return
    if KIND == "publish":
        assert found["--input"] == "-", found
        release.update(json.load(sys.stdin))
    print(json.dumps(shown(release)))


def upload(value, plain, found):
    release = releases_of(value, plain[2])
    path = pathlib.Path(plain[3])
    there = [asset for asset in release["assets"] if asset["name"] == path.name]
    if there and "--clobber" not in found:
        fail(f"asset under the same name already exists: [{path.name}]")
    release["assets"] = [asset for asset in release["assets"] if asset not in there]
    contents = path.read_bytes()
    release["assets"].append({
        "id": 7000 + len(release["assets"]), "name": path.name, "label": "", "state": "uploaded",
        "content_type": "application/octet-stream", "size": len(contents),
        "digest": None if os.environ.get("STUB_NO_DIGEST") else "sha256:" + hashlib.sha256(contents).hexdigest(),
    })
    folder = STATE / "assets"
    folder.mkdir(exist_ok=True)
    (folder / path.name).write_bytes(contents)


def download(value, plain, found):
    releases_of(value, plain[2])
    pathlib.Path(found["--output"]).write_bytes((STATE / "assets" / found["--pattern"]).read_bytes())


def real_git():
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if part != str(pathlib.Path(sys.argv[0]).parent))
    return shutil.which("git", path=path)


def as_git():
    return subprocess.run([real_git(), *WORDS], check=False).returncode


def as_gh():
    if not os.environ.get("GH_TOKEN"):
        fail("To get started with GitHub CLI, please run:  gh auth login\n"
             "Alternatively, populate the GH_TOKEN environment variable with a GitHub API authentication token.", 4)
    plain, found = options(WORDS)
    with state() as value:
        {"api": api, "upload": upload, "download": download}[plain[0] if plain[0] == "api" else plain[1]](value, plain, found)
    sys.stdout.flush()
    return 0


KIND = kind()
with open(STATE / "calls", "a") as calls:
    calls.write(f"{KIND} {' '.join(WORDS)}\n")
wait()
rival()
move()
fault("before")
code = as_git() if NAME == "git" else as_gh()
fault("after")
sys.exit(code)
