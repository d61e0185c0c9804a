#!/usr/bin/env python3
"""Checks the evidence in this folder: python3 verify.py [FOLDER]. Needs Python 3 and its package `cryptography`.

It is meant to be read. What the files are: README.txt. Their formats: JWS (RFC 7515), C2SP tlog-proof, RFC 9162."""
import base64, hashlib, json, os, pathlib, re, sys, time

def end(kind, flaw, _):  # what cannot be understood does not hold; a full disk, or who stops it, says nothing of that
    if not issubclass(kind, (ImportError, KeyboardInterrupt, MemoryError, OSError)):
        must(False, f"malformed ({kind.__name__}: {flaw})")
    try:
        print(f"NOT CHECKED TO THE END ({kind.__name__}: {flaw}): mend that, and run it again", file=sys.stderr)
        sys.stderr.flush()
    finally:
        os._exit(2)

sys.excepthook = end
for stream in sys.stdout, sys.stderr:
    if hasattr(stream, "reconfigure"):  # else it is closed
        stream.reconfigure(errors="backslashreplace")
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

def plain(*lines):  # what others wrote cannot steer the screen
    shown = lambda c: c if c.isprintable() else c.encode("unicode_escape").decode()
    return "\n".join("".join(map(shown, line)) for line in lines)

def must(holds, why):
    if not holds:
        sys.exit(plain(f"DOES NOT HOLD: {why}"))

def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

def text64(raw):  # base64url without padding
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

def raw64(text, url=True):  # one spelling only
    raw = (base64.urlsafe_b64decode if url else base64.b64decode)(text + "=" * (-len(text) % 4))
    must(text == (text64(raw) if url else base64.b64encode(raw).decode()), f"not canonical base64: {text}")
    return raw

def signed(key, signature, data):
    try:
        return Ed25519PublicKey.from_public_bytes(raw64(key)).verify(signature, data) is None
    except InvalidSignature:
        return False

def header(typ, kind, kid):  # of a JWS: what it is, so that nothing passes for something else
    return {"alg": "Ed25519", "cty": f"liaison.{kind}.v1+json", "kid": kid, "typ": typ}

def when(seconds):
    must(0 <= seconds < 253402300800, f"a time without a date: {seconds}")
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(seconds))

def key_sets(name, text):
    """A State's key sets, oldest first: each signed by its roots, by the roots before, and by each of its keys."""
    sets, before = [], b""
    must(text.endswith("\n"), f"{name}: cut short")
    for line in text.removesuffix("\n").split("\n"):
        jws = json.loads(line)  # one spelling only
        must(line == json.dumps(jws, separators=(",", ":")) and set(jws) == {"payload", "signatures"} and all(
            set(part) == {"protected", "signature"} for part in jws["signatures"]), f"{name}: its form")
        now = json.loads(payload := raw64(jws["payload"]))
        def holds(key):
            head = header("liaison-keyset+jws", "key-set", f"{now['node']}#{key['kid']}")
            return any(json.loads(raw64(part["protected"])) == head and signed(
                key["pub"], raw64(part["signature"]), f"{part['protected']}.{jws['payload']}".encode())
                for part in jws["signatures"])
        for by in (now, sets[-1] if sets else now):
            must(sum(map(holds, by["roots"])) >= by["threshold"] >= 1, f"{name}: too few roots signed")
        must(all(map(holds, now["keys"])), f"{name}: a key did not sign")
        must(now["version"] == len(sets) + 1, f"{name}: a version is missing")
        must(not sets or now["prev"] == text64(sha(before)), f"{name}: a version follows another one")
        must(now["node"] == name.removesuffix("key-sets") + "liaison", f"{name}: of another node")
        if not sets:
            fingerprints.append(sha(payload).hex(" ", 2))
            print(plain(f"{now['state']}  {now['authority']}", f"     fingerprint {fingerprints[-1]}"))
        sets.append(now)
        before = payload
    return sets

def keys(sets, use):
    return {key["kid"]: key for one in sets for key in one["keys"] if key["use"] == use}

def good(sets, key, at):  # within its dates, and not revoked from before
    return key["nbf"] <= at <= key["naf"] and not any(
        r["kid"] == key["kid"] and r["untrusted_from"] <= at for one in sets for r in one.get("revoked", []))

def open_head(note, log, sets, others):
    """A log's signed head: its size, its root, and when the other State cosigned it."""
    text, lines = note.split("\n\n")
    origin, size, root = text.split("\n")
    must(origin == f"{sets[0]['node']}/{log}" and size == str(int(size)), f"a head of another log: {origin}")
    lines, cosigned = lines.removesuffix("\n").split("\n"), None
    must(note.endswith("\n") and len(lines) <= 2, "a head with signatures that nobody answers for")
    for n, line in enumerate(lines):  # the log's own, and perhaps the other State's
        name, use, kind, data = (origin, "log", b"\1", text + "\n")
        dash, by, blob = line.split(" ")
        blob = raw64(blob, url=False)
        signature = blob[4:]
        if n == 1:
            cosigned, signature = int.from_bytes(blob[4:12], "big"), blob[12:]
            name, use, kind = (others[0]["node"] + "/witness", "witness", b"\4")
            data = f"cosignature/v1\ntime {cosigned}\n{text}\n"
        candidates = [key["pub"] for key in keys(others if n else sets, use).values() if (
            good(others, key, cosigned) if n else any(
                (f"log{one['n']}", one["kid"]) == (log, key["kid"]) for by in sets for one in by["logs"]))]
        must((dash, by) == ("—", name) and any(
            blob[:4] == sha(name.encode(), b"\n", kind, raw64(key))[:4] and signed(key, signature, data.encode())
            for key in candidates), f"a signature on a head of {origin}")
    return int(size), raw64(root, url=False), cosigned

def climb(node, index, last, path, old=None):
    """RFC 9162, 2.1.3.2 and 2.1.4.2: the root that a proof leads to, and the root of the old tree."""
    for sibling in path:
        must(last > 0, "a proof is too long")
        if index & 1 or index == last:
            node, old = sha(b"\1", sibling, node), old and sha(b"\1", sibling, old)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            node = sha(b"\1", node, sibling)
        index, last = index >> 1, last >> 1
    must(last == 0, "a proof is too short")
    return node, old

folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
sums = [f"{sha(files[name]).hex()}  {name}\n" for name in sorted(files) if name != "SHA256SUMS"]
must(files.pop("SHA256SUMS", b"") == "".join(sums).encode(), "SHA256SUMS: a file was altered, added or removed")
must(files.pop("verify.py", b"") == pathlib.Path(__file__).read_bytes(), "verify.py is not the one that runs")
readme, fingerprints = files.pop("README.txt", b"").decode(), []

chains = {name.split("/")[0]: key_sets(name, files.pop(name).decode())
          for name in sorted(files) if re.fullmatch("[^/]+/key-sets", name)}
must(len(chains) == 2, "there must be the key sets of two States")
told = re.findall("(?:[0-9a-f]{4} ){15}[0-9a-f]{4}", readme)
must(sorted(told) == sorted(fingerprints), "README.txt tells of other fingerprints: believe nothing it says")
node = {state: chains[state][0]["node"] for state in chains}
other = dict(zip(chains, reversed(chains)))

# Entries: each stands in its log, under a head that the log signed; the exporter's commit to their records.
entries, heads = {}, {}
for name in sorted(name for name in files if name.endswith(".entry.json")):
    state, log, leaf = re.fullmatch(r"([^/]+)/(log[1-9]\d*)/(0|[1-9]\d*)\.entry\.json", name).groups()
    stem, line = name.removesuffix("entry.json"), files.pop(name)
    proof, note = files.pop(stem + "tlog-proof", b"missing\n0\n\n").decode().split("\n\n", 1)
    title, index, *path = proof.split("\n")
    must((title, index) == ("c2sp.org/tlog-proof@v1", f"index {leaf}"), f"{stem}tlog-proof")
    path = [raw64(sibling, url=False) for sibling in path]
    size, root, cosigned = open_head(note, log, chains[state], chains[other[state]])
    must(int(leaf) < size and climb(sha(b"\0", line), int(leaf), size - 1, path)[0] == root, f"{name}: not there")
    must(heads.setdefault((state, log, size), note) == note, f"{name}: one head in two forms")
    entry, record = json.loads(line), None
    if stem + "salt" in files:
        salt, record = files.pop(stem + "salt"), files.pop(stem + "record.json", b"")
        must(len(salt) == 32 and text64(sha(salt, record)) == entry["c"], f"{stem}record.json: another record")
        record = json.loads(record)
    entries[state, log, int(leaf)] = dict(entry, line=line.decode(), path=path, head=f"{size}:{text64(root)}",
                                          cosigned=cosigned, record=record)
us = {state for (state, _, _), entry in entries.items() if entry["record"]}
must(len(us) == 1, "the records of one of the two States must be there")
them = other[us := us.pop()]
must(all(entry["record"] for (state, _, _), entry in entries.items() if state == us), "a record is missing")

for one, next_ in zip(sorted(entries), sorted(entries)[1:]):
    must(one[:2] != next_[:2] or entries[one]["t"] <= entries[next_]["t"], f"{next_}: time goes back")

# Where two heads of the exporter's log are shown, the larger extends the smaller.
for log in {log for state, log, _ in heads if state == us}:
    sizes = sorted(size for state, of, size in heads if (state, of) == (us, log))
    must(len(sizes) <= 2, f"{us}/{log}: more than two heads")
    if len(sizes) == 2:
        (old, old_root, _), (new, new_root, _) = (
            open_head(heads[us, log, size], log, chains[us], chains[them]) for size in sizes)
        proof, note = files.pop(f"{us}/{log}/extension", b"missing\n\n").decode().split("\n\n", 1)
        title, *path = proof.split("\n")
        must(title == f"old {old}" and note == heads[us, log, new], f"{us}/{log}/extension: of other heads")
        path, index, last = [raw64(sibling, url=False) for sibling in path], old - 1, new - 1
        while index & 1:
            index, last = index >> 1, last >> 1
        start = path.pop(0) if old & (old - 1) else old_root
        must(climb(start, index, last, path, start) == (new_root, old_root), f"{us}/{log}: two histories")

# Messages: sealed by one State for the other, in the log of the one, and taken or refused by that of the other.
messages, attached = {}, set()
for number, name in enumerate(sorted(name for name in files if name.startswith("messages/")), 1):
    must(name == f"messages/{number:02}.jws", f"messages/{number:02}.jws is missing")
    data, _, signature = files[name].decode().rpartition(".")
    head, message = (json.loads(raw64(part)) for part in data.split("."))
    sender = next(state for state in chains if node[state] == message["iss"])
    receiver, mid, kid = other[sender], text64(sha(data.encode())), head["kid"].removeprefix(node[sender] + "#")
    must(head == header("liaison-msg+jws", message["kind"], f"{node[sender]}#{kid}"), f"{name}: its header")
    must(message["aud"] == node[receiver], f"{name}: for another State")
    key = keys(chains[sender], "msg")[kid]
    must(signed(key["pub"], raw64(signature), data.encode()), f"{name}: the seal is broken")
    must(good(chains[sender], key, message["iat"]), f"{name}: the key was not good")
    messages[mid] = dict(message, token=files.pop(name).decode())
    print(plain("", f"{name}  {when(message['iat'])}  {sender} to {receiver}: {message['kind']}", f"  id {mid}",
                f"  {json.dumps(message['body'], ensure_ascii=False)}"))
    for named in message.get("att", []):
        here = [file for file in files if file.split(".")[0] == "attachments/" + named["digest"]]
        for file in here:
            must(text64(sha(raw64(named["salt"]), files[file])) == named["digest"], f"{file}: not what {name} names")
        attached.update(here)
        print(plain(f"  attached: {named['name']}: {' '.join(here) or 'not in this file'}"))
    about = {at: entry for at, entry in entries.items() if entry.get("m") == mid}
    for state, kinds in (sender, ["msg.sent"]), (receiver, ["msg.rcvd", "denied"]):
        found = [(at[2], e) for at, e in about.items() if at[0] == state and e["k"] in kinds]
        must(all(entry["p"] == [node[other[state]]] for _, entry in found), f"{name}: an entry for another State")
        for leaf, entry in found:
            print(plain(f"  {entry['k']:8} entry {leaf} of {state}, {when(entry['t'])}" + (
                f", under a head cosigned {when(entry['cosigned'])}" if entry["cosigned"] else "")))
        proven = found or (state == receiver == them and not any(e["k"] == "receipt" for e in about.values()))
        must(proven, f"{name}: not in the log of {state}")
must(not set(files) - attached, f"no part of the evidence: {sorted(set(files) - attached)}")

# They are one exchange, without a gap as far as it goes.
exchange = next((mid for mid, message in messages.items() if "thr" not in message), None)
must(len({(m["iss"], m["log"], m["seq"]) for m in messages.values()}) == len(messages), "a number stands twice")
previous = {message["prev"] for message in messages.values() if "prev" in message}
refused = {entry.get("m") for entry in entries.values() if entry["k"] == "denied"}
for mid, message in messages.items():
    must(message.get("thr", mid) == exchange, f"message {mid}: of another exchange")
    must(message.get("prev", mid) in {*messages, *refused}, f"message {mid}: the one before it is missing")
    must(all(message.get(seen, mid) in messages for seen in ("saw", "irt")), f"message {mid}: what it saw is missing")

# Nothing is shown that does not belong to it, and the records of the exporter tell the same story.
for at, entry in entries.items():
    record, here, ours = entry["record"], "/".join(map(str, at)), entry.get("m") in messages
    if not record:
        must(ours and entry["k"] in ("msg.sent", "msg.rcvd", "denied"), f"{here}: about no message here")
        continue
    must(ours or entry["k"] not in ("msg.sent", "msg.rcvd", "receipt"), f"{here}: its message is missing")
    must("token" not in record or record["token"] == messages[entry["m"]]["token"], f"{here}: another message")
    if "proof" in record:
        theirs = [e for (state, _, leaf), e in entries.items() if (state, leaf) == (them, record["proof"]["leaf"])]
        path = [raw64(sibling) for sibling in record["proof"]["proof"]]
        must([(e["line"], e["path"], e["head"], e["head"]) for e in theirs] == [
            (record["proof"]["entry"], path, record["head"], entry["h"])], f"{here}: the other State's entry")
    elif "token" not in record:
        # It names the exchange, or what is followed here; an order to open stands right before what it opened.
        after = entries.get((*at[:2], at[2] + 1), {})
        names = f'"{exchange}"' in json.dumps(record) or (after.get("k"), after.get("m")) == ("msg.sent", exchange)
        told = record.get("exchange") == exchange or record.get("id") in previous
        must(told if entry["k"] == "denied" else names, f"{here}: about another exchange")
        print(plain("", f"{here}  {when(entry['t'])}  {entry['k']}", f"  {json.dumps(record, ensure_ascii=False)}"))
print("\nEVERYTHING HOLDS, if the fingerprints above are those of the two States. Later messages may exist.",
      flush=True)
