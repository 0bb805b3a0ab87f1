"""The deploy test's customers: they register, pay and read through the deployed HTTP API, their processors' webhooks come to the
function URL, and their mails are read at the emulator's SES. Nothing here knows Skymeter's code."""

import hashlib, hmac, json, re, signal, socket, subprocess, time, urllib.error, urllib.request

PASSWORD = "correct horse battery"
MAIL_DOMAIN = "example.com"
ADMIN, CUSTOMER = "root@example.com", "ada@example.com"
STRIPE = {"key": "sk_test_sandbox", "webhook_secrets": ["whsec_of_last_year", "whsec_sandbox"]}
PAYPAL = {"client_id": "sandbox-client", "client_secret": "sandbox-client-secret", "webhook_id": "5SB74927XH1234567"}
# An address of SES's own that refuses every mail.
BOUNCING = "bounce@simulator.amazonses.com"


def wait_for(what, condition, seconds=180):
    """Asks until the answer is true, and gives it back."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {seconds} s")


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def ask(url, method="GET", body=None, headers=None):
    """Status and JSON. `body` is bytes as they are, or anything else as JSON."""
    headers = dict(headers or {})
    if body is not None:
        headers.setdefault("content-type", "application/json")
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=60) as response:
            status, text = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    return status, json.loads(text) if text[:1] in (b"{", b"[") else {}


class Sandbox:
    """Stripe and PayPal, as `skymeter sandbox` plays them, with customers at their pages."""

    def __init__(self, skymeter, env, directory):
        self.skymeter, self.env, self.port = skymeter, env, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log, self.process = open(directory / "sandbox.log", "wb"), None

    def start(self, webhooks):
        arguments = ["sandbox", "--port", str(self.port), "--stripe-webhook", f"{webhooks}stripe", "--paypal-webhook", f"{webhooks}paypal"]
        self.process = subprocess.Popen([self.skymeter, *arguments], env=self.env, stdout=self.log, stderr=self.log)

        def answers():
            try:
                return ask(f"{self.url}/sandbox/payments")[0] == 200
            except OSError:
                return False

        wait_for("the sandbox answers", answers, 30)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGINT)
            assert self.process.wait(10) == 0

    def act(self, **action):
        status, answer = ask(f"{self.url}/sandbox/actions", "POST", action)
        assert status == 200, answer

    def tune(self, **knobs):
        status, now = ask(f"{self.url}/sandbox/knobs")
        assert ask(f"{self.url}/sandbox/knobs", "PUT", {**now, **knobs})[0] == 200, status

    def sent(self, processor):
        """What became of each attempt at a webhook."""
        return [(sent["event_type"], sent["status"]) for sent in ask(f"{self.url}/sandbox/deliveries")[1] if sent["processor"] == processor]


def signed(body, secret=STRIPE["webhook_secrets"][1], at=None):
    """A header as Stripe signs."""
    at = int(time.time()) if at is None else at
    code = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={at},v1={code}"}


class Shop:
    """The stage, as customers see it."""

    def __init__(self, stage, sandbox):
        self.stage, self.sandbox = stage, sandbox
        # Everything that must stand in no log and no environment.
        self.secrets = [PASSWORD, STRIPE["key"], *STRIPE["webhook_secrets"], PAYPAL["client_secret"]]

    @property
    def webhooks(self):
        """The function URL. Its host has no address here, the emulator takes it in the path as well."""
        name = re.match(r"https://([a-z0-9]+)\.lambda-url\.", self.stage.outputs["WebhooksUrl"])[1]
        return f"{self.stage.cloud.url}/_aws/lambda-url/{name}/"

    def mails(self, address):
        _, answer = ask(f"{self.stage.cloud.url}/_ministack/ses/messages")
        return [mail for mails in answer["messages"].values() for mail in mails if address in mail["To"]]

    def mailed_token(self, address):
        def token():
            found = [re.search(r"token=([A-Za-z0-9_.~-]+)", mail["BodyText"]) for mail in self.mails(address)]
            return next((match[1] for match in found if match), None)

        token = wait_for(f"a mail with a token to {address}", token)
        self.secrets += [token, address]
        return token

    def said(self, status, method, path, token=None, body=None, **headers):
        """What the API answers, which must be with that status."""
        found, answer = self.stage.ask(f"/api/v1{path}", token, method, body, headers)
        assert found == status, f"{method} {path}: {found} {answer}"
        return answer

    def register(self, address):
        self.said(202, "POST", "/auth/register", body={"email": address, "password": PASSWORD, "name": "Ada Lovelace"})

    def sign_up(self, address):
        self.register(address)
        assert self.stage.ask("/api/v1/auth/login", None, "POST", {"email": address, "password": PASSWORD}, {})[0] != 200, "not proven"
        self.said(204, "POST", "/auth/verify-email", body={"token": self.mailed_token(address), "password": PASSWORD})
        return self.sign_in(address)

    def sign_in(self, address):
        answer = self.said(200, "POST", "/auth/login", body={"email": address, "password": PASSWORD})
        self.secrets += [answer["access_token"], answer["refresh_token"]]
        return answer["access_token"]

    def monitor(self, admin):
        """An API key that may read how things are, and nothing else."""
        key = self.said(201, "POST", "/auth/api-keys", admin, {"name": "monitor", "scopes": ["health:read"], "password": PASSWORD})["key"]
        self.secrets.append(key)
        self.said(403, "GET", "/admin/users", key)
        return key

    def balance(self, token):
        return self.said(200, "GET", "/billing/balance", token)["custom_credits"]["amount"]

    def payment(self, token, payment):
        return self.said(200, "GET", f"/payments/{payment}", token)

    def by_stripe(self, token, amount):
        """Begins to pay; at Stripe's page it is paid. What follows is the webhook's, for the customer closes the browser."""
        intent = self.said(201, "POST", "/payments/intent", token, {"amount": amount}, **{"idempotency-key": f"buy {amount}"})
        again = self.said(201, "POST", "/payments/intent", token, {"amount": amount}, **{"idempotency-key": f"buy {amount}"})
        assert again == intent
        self.sandbox.act(do="pay", id=intent["processor_object"], card="visa")
        return intent["id"]

    def by_paypal(self, token, amount):
        """Begins to pay, agrees at PayPal's page, comes back."""
        order = self.said(201, "POST", "/payments/paypal/orders", token, {"amount": amount})
        assert order["approve_url"].startswith(self.sandbox.url), order
        self.sandbox.act(do="approve", id=order["processor_object"])
        captured = self.said(200, "POST", f"/payments/paypal/orders/{order['id']}/capture", token)
        assert (captured["status"], captured["captured_amount"]) == ("succeeded", amount), captured
        return order["id"]


def buys(shop, customer, admin):
    """$20 by Stripe and $5 by PayPal, and $7.50 given back."""
    # Each event comes twice, 70 ms apart.
    shop.sandbox.tune(duplicate={"permille": 1000})
    card = shop.by_stripe(customer, "20.00")
    wait_for("the webhook of Stripe is taken", lambda: shop.payment(customer, card)["status"] == "succeeded")
    assert shop.balance(customer) == "20.00"
    paypal = shop.by_paypal(customer, "5.00")
    wait_for("PayPal's webhooks, too", lambda: ("PAYMENT.CAPTURE.COMPLETED", 200) in shop.sandbox.sent("paypal"))
    assert shop.balance(customer) == "25.00"
    # Others can neither see nor give back.
    shop.said(401, "GET", f"/payments/{card}")
    shop.said(403, "POST", f"/payments/{card}/refund", customer, {"reason": "mine"})
    for payment, amount in [(card, "5.00"), (paypal, "2.50")]:
        refund = shop.said(201, "POST", f"/payments/{payment}/refund", admin, {"amount": amount, "reason": "a test"})
        assert refund["payment"]["refunded_amount"] == amount, refund
    wait_for("the refund's webhook", lambda: ("charge.refunded", 200) in shop.sandbox.sent("stripe"))
    shop.sandbox.tune(duplicate="off")
    assert shop.balance(customer) == "17.50"
    assert all(status == 200 for processor in ["stripe", "paypal"] for _, status in shop.sandbox.sent(processor))
    return card, paypal


def forged(shop, customer, card):
    """What is not signed as it must be is refused, and nothing follows; of what is, only the processor's API is believed."""
    intent = shop.payment(customer, card)["processor_object"]
    content = {"object": {"id": intent, "object": "payment_intent", "amount_received": 100_000_00, "metadata": {"payment": card}}}
    body = json.dumps({"id": "evt_forged", "type": "payment_intent.succeeded", "data": content}).encode()
    pages, now = shop.stage.export(), int(time.time())
    headers = {name: "x" for name in ["paypal-transmission-id", "paypal-transmission-sig"]}
    headers |= {"paypal-transmission-time": "2026-11-01T00:00:00Z", "paypal-auth-algo": "SHA256withRSA"}
    cases = [
        ("stripe", {}),
        ("stripe", signed(body, "whsec_of_somebody_else")),
        ("stripe", signed(body, at=now - 3_600)),
        ("stripe", signed(body + b" ")),
        ("paypal", {}),
        ("paypal", {**headers, "paypal-cert-url": "https://paypal.example.net/cert"}),
        ("paypal", {**headers, "paypal-cert-url": "https://api.paypal.com/v1/notifications/certs/CERT-1"}),
    ]
    for processor, headers in cases:
        # By the function URL, and by the HTTP API.
        for url in [f"{shop.webhooks}{processor}", shop.stage.url("/api/v1/payments/webhook" + ("/paypal" if processor == "paypal" else ""))]:
            status, answer = ask(url, "POST", body, headers)
            assert (status, answer.get("code")) == (400, "invalid_signature"), f"{url} {headers}: {status} {answer}"
    # Rightly signed, with the older of two secrets, and it says ten thousand dollars: taken, and nothing is credited but what
    # Stripe has. One about an intent that Stripe does not know waits for an operator.
    strange = body.replace(intent.encode(), b"pi_nobody_knows").replace(b"evt_forged", b"evt_strange").replace(card.encode(), b"")
    for event in [body, strange]:
        assert ask(f"{shop.webhooks}stripe", "POST", event, signed(event, STRIPE["webhook_secrets"][0]))[0] == 200
    assert shop.stage.export() == pages and shop.balance(customer) == "17.50"
    parked = {":pk": {"S": "UNMATCHED"}}
    items = shop.stage.cloud.dynamodb.query(
        TableName=shop.stage.outputs["MainTable"], KeyConditionExpression="pk = :pk", ExpressionAttributeValues=parked
    )["Items"]
    assert [item["sk"]["S"] for item in items] == ["stripe#pi_nobody_knows"], items


def lost(shop, customer):
    """Two payments of which no webhook ever tells, and whose customer does not come back."""
    shop.sandbox.tune(lost={"permille": 1000})
    payment = shop.by_stripe(customer, "1.00")
    order = shop.said(201, "POST", "/payments/paypal/orders", customer, {"amount": "2.00"})
    shop.sandbox.act(do="approve", id=order["processor_object"])
    return payment, order["id"]


def found(shop, customer, payments):
    """`lifecycle` asks the processors; its own schedule does so, too, so it may be called any number of times."""

    def paid():
        answer = shop.stage.cloud.__dict__["lambda"].invoke(FunctionName="skymeter-dev-lifecycle", Payload=b"{}")
        assert "FunctionError" not in answer, answer["Payload"].read()
        return all(shop.payment(customer, payment)["status"] == "succeeded" for payment in payments)

    wait_for("lifecycle finds what was paid", paid)
    shop.sandbox.tune(lost="off")


def bounces(shop):
    """An address that refuses mail is told by SES over SNS, and gets none any more."""
    digest = hashlib.sha256(BOUNCING.encode()).hexdigest()
    key = {"pk": {"S": f"SUPPRESSED#{digest}"}, "sk": {"S": "SUPPRESSED"}}
    table = shop.stage.outputs["MainTable"]
    shop.register(BOUNCING)
    wait_for("the bounce is noted", lambda: shop.stage.cloud.dynamodb.get_item(TableName=table, Key=key).get("Item"))
    before = len(shop.mails(BOUNCING))
    shop.said(202, "POST", "/auth/resend-verification", body={"email": BOUNCING})
    outbox = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "OUTBOX"}}}
    wait_for("all mails are final", lambda: shop.stage.cloud.dynamodb.query(TableName=table, **outbox)["Count"] == 0)
    assert before == len(shop.mails(BOUNCING)) == 1


def in_ledger(shop, customer):
    """A customer's pages of money that came or went, as they stand in the ledger, and what all of them make."""
    me = shop.said(200, "GET", "/auth/me", customer)["id"]
    pages = [page for page in shop.stage.export() if page["customer"] == me]
    return sorted((page["kind"], page["amount"]) for page in pages), pages[-1]["after"]
