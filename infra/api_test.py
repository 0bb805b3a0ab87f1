#!/usr/bin/env python3
"""Looks for answers that the API's description does not allow, and for any 5xx: Schemathesis over the whole API of a `skymeter up`
on a directory of its own, first as a signed-in user, then as an admin. Needs nothing but the two programs.

    python3 infra/api_test.py --skymeter target/release/skymeter --schemathesis .venv/bin/schemathesis [--examples 30] [--seed 1]
"""

import argparse
import email
import email.policy
import glob
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

PASSWORD = "a-long-enough-password-1"
# What would end the session that everything is asked with. It is asked at the end, by itself.
ENDS_THE_SESSION = ["/auth/logout", "/auth/sessions", "/auth/sessions/{id}", "/auth/change-password"]
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
START_SECS = 120
RUN_SECS = 900


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Api:
    """A running `skymeter up`."""

    def __init__(self, skymeter, data):
        self.skymeter, self.data, self.port = skymeter, data, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = open(os.path.join(data, "..", "up.log"), "a")

    def __enter__(self):
        command = [self.skymeter, "up", "--data", self.data, "--port", str(self.port)]
        environment = dict(os.environ, RUST_LOG="warn")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=environment)
        until = time.monotonic() + START_SECS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                sys.exit(f"skymeter up ended: see {self.log.name}")
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=2).read()
                return self
            except OSError:
                time.sleep(0.3)
        sys.exit("skymeter up does not answer")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def post(self, path, body):
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def mailed_token(self, address):
        """The token of the newest mail to an address, from the mailbox's folder."""
        for _ in range(120):
            for path in sorted(glob.glob(os.path.join(self.data, "mails", "*.eml")), reverse=True):
                with open(path, "rb") as file:
                    mail = email.message_from_binary_file(file, policy=email.policy.default)
                text = mail.get_body(("plain",))
                token = re.search(r"token=([A-Za-z0-9_.~-]+)", text.get_content() if text else "")
                if token and address in str(mail["to"]):
                    return token.group(1)
            time.sleep(0.5)
        sys.exit(f"no mail with a token came to {address}")

    def register(self, address):
        status, answer = self.post("/auth/register", {"email": address, "password": PASSWORD, "name": "Somebody"})
        assert status == 202, answer
        status, answer = self.post("/auth/verify-email", {"token": self.mailed_token(address), "password": PASSWORD})
        assert status == 204, answer

    def sign_in(self, address):
        status, answer = self.post("/auth/login", {"email": address, "password": PASSWORD})
        assert status == 200, answer
        return answer["access_token"]


def schemathesis(options, api, token, *more):
    command = [options.schemathesis, "run", f"{api.url}/openapi.json", "--url", f"{api.url}/api/v1"]
    command += ["-H", f"Authorization: Bearer {token}", "--checks", CHECKS, "--max-examples", str(options.examples)]
    command += ["--seed", str(options.seed), "--workers", "2", "--request-timeout", "30", "--no-color", *more]
    print("+", " ".join(more) or "everything", flush=True)
    return subprocess.run(command, timeout=RUN_SECS).returncode


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--skymeter", required=True)
    parser.add_argument("--schemathesis", required=True)
    parser.add_argument("--examples", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data")
        os.mkdir(data)
        user, admin = "user@example.com", "admin@example.com"
        with Api(options.skymeter, data) as api:
            api.register(user)
            api.register(admin)
        subprocess.run([options.skymeter, "admin", admin, "--data", data], check=True)
        with Api(options.skymeter, data) as api:
            apart = [option for path in ENDS_THE_SESSION for option in ("--exclude-path", path)]
            alone = [option for path in ENDS_THE_SESSION for option in ("--include-path", path)]
            # All at once, and first: what is asked below fills the limits on signing in, too.
            tokens = [(who, api.sign_in(who), api.sign_in(who)) for who in (user, admin)]
            for who, token, another in tokens:
                print(f"== as {who}", flush=True)
                failed |= schemathesis(options, api, token, *apart)
                failed |= schemathesis(options, api, another, *alone)
        print(open(os.path.join(folder, "up.log")).read()[-4000:] if failed else "no 5xx, no answer outside its schema")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
