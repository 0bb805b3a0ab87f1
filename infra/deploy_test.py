#!/usr/bin/env python3
"""The deploy test: the real template, deployed with the real tools onto an independent emulator of the cloud, driven from outside.

    infra/deploy_test.py --sam SAM --ministack MINISTACK --skymeter SKYMETER --cargo-lambda CARGO-LAMBDA

SKYMETER is the release binary; the functions must stand in target/lambda, built for this machine. Needs boto3 (it comes with sam).
Nothing here knows Skymeter's code: amounts are worked out again from the rules.
"""

import argparse, calendar, contextlib, csv, json, os, random, re, signal, subprocess, sys, tempfile, time
from collections import defaultdict
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

import deploy_shop
from deploy_shop import Sandbox, Shop, ask, free_port, wait_for

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = sorted(folder.name for folder in (ROOT / "functions").iterdir())
PRICES = {"small": "5.00", "large": "37.40"}
HOUR = 3600
STEPS = 10**6
HOURS_PER_MONTH = 730
BEGAN = time.monotonic()


def step(what):
    print(f"-- {what} ({time.monotonic() - BEGAN:.0f} s)", flush=True)


def stop(process):
    """Ends a process and all it has started."""
    for sign in [signal.SIGTERM, signal.SIGKILL]:
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, sign)
            process.wait(10)


class Emulator:
    """ministack, on a port and in a directory of its own, and clients for it."""

    def __init__(self, program, directory):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
            "TMPDIR": str(directory),
        }
        self.log = open(directory / "ministack.log", "wb")
        # A group of its own: it starts the functions as processes, and they must go with it.
        self.process = subprocess.Popen(
            [program], env={**self.env, "GATEWAY_PORT": str(self.port)}, stdout=self.log, stderr=self.log, start_new_session=True
        )
        clients = ["cloudformation", "dynamodb", "sqs", "lambda", "secretsmanager", "logs", "ses", "scheduler"]
        session = boto3.Session("test", "test", region_name="us-east-1")
        for name in clients:
            setattr(self, name, session.client(name, endpoint_url=self.url))

    def ready(self):
        with contextlib.suppress(Exception):
            self.sqs.list_queues()
            return True

class Stage:
    """The stage `dev`, seen from outside."""

    def __init__(self, cloud, programs, directory):
        self.cloud, self.directory = cloud, directory
        self.sam, self.cargo_lambda = programs.sam, programs.cargo_lambda
        self.skymeter = str(Path(programs.skymeter).resolve())
        self.outputs = {}
        # The API key of whoever watches.
        self.monitor = None

    def deploy(self, *parameters, stage="dev"):
        """What an operator types; gives back whether it went well, and what it said."""
        env = {**self.cloud.env, "SAM": self.sam, "SKYMETER": self.skymeter, "PREBUILT": "1"}
        done = subprocess.run(
            ["infra/deploy", stage, *parameters], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        return done.returncode == 0, done.stdout + done.stderr

    def deployed(self, *parameters):
        went_well, said = self.deploy(*parameters)
        assert went_well, said
        stack = self.cloud.cloudformation.describe_stacks(StackName="skymeter-dev")["Stacks"][0]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def stacks(self):
        pages = self.cloud.cloudformation.describe_stacks()["Stacks"]
        return sorted(stack["StackName"] for stack in pages if stack["StackName"].startswith("skymeter"))

    def run(self, *arguments):
        """A command of `skymeter` on this stage."""
        return subprocess.run([self.skymeter, *arguments, "--stage", "dev"], env=self.cloud.env, capture_output=True, text=True)

    def command(self, *arguments):
        done = self.run(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def url(self, path):
        """A path of the deployed HTTP API. (The emulator answers `/health` of the API's own host itself.)"""
        api = re.search(r"//([^./]+)\.", self.outputs["ApiUrl"])[1]
        return f"{self.cloud.url}/_aws/execute-api/{api}/$default{path}"

    def ask(self, path, token=None, method="GET", body=None, headers=()):
        """A request through the deployed HTTP API."""
        headers = {**dict(headers), **({"authorization": f"Bearer {token}"} if token else {})}
        return ask(self.url(path), method, body, headers)

    def daemon(self):
        """How billing is, as a monitor asks."""
        return self.ask("/api/health/billing-daemon", self.monitor)[1]

    def waiting(self, queue):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.cloud.sqs.get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=names)["Attributes"]
        return sum(int(answer[name]) for name in names)

    def idle(self):
        return self.waiting("JobsQueueUrl") == 0 and self.waiting("MeteringQueueUrl") == 0

    def settled(self):
        """Nothing waits, and the ledger is as the registry says."""
        wait_for("the ledger is proven", lambda: self.idle() and self.run("verify").returncode == 0)

    def invoke_metering(self):
        answer = self.cloud.__dict__["lambda"].invoke(
            FunctionName="skymeter-dev-metering", Payload=json.dumps({"time": stamp(int(time.time()))}).encode()
        )
        assert "FunctionError" not in answer, answer["Payload"].read()

    def export(self):
        return [json.loads(line) for line in self.command("export").splitlines()]

    def load(self, name, servers):
        """Tells the registry servers `(id, customer, plan, created, deleted or None)`, times in seconds."""
        trace, plans = self.directory / f"{name}.csv", self.directory / "plans.csv"
        start = min(created for _, _, _, created, _ in servers) // HOUR * HOUR
        with open(trace, "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["vm_id", "tenant_id", "flavor", "created_s", "deleted_s"])
            for server, customer, plan, created, deleted in servers:
                rows.writerow([server, customer, plan, created - start, "" if deleted is None else deleted - start])
        plans.write_text("flavor,monthly_price_usd\n" + "".join(f"{plan},{price}\n" for plan, price in PRICES.items()))
        self.command("load", str(trace), "--plans", str(plans), "--start", stamp(start))

    def send_job(self, servers, through, spoil=None):
        """A job message as metering writes it; `spoil` is one more job that nobody can bill."""
        now = int(time.time())
        lanes = []
        for server, customer, plan, created, _ in servers:
            job = {"server": server, "since": created // HOUR, "rev": 1, "states": [[created, "running"]], "steps": [[0, 0]]}
            lanes.append({"customer": customer, "unit": "usd", "lane": 0, "jobs": [job]})
        if spoil:
            lanes[0]["jobs"].insert(0, spoil)
        plan = servers[0][2]
        message = {
            "v": 1, "through": through, "issued_at": now, "per": [[0, HOURS_PER_MONTH]], "switch": [[0, True]],
            "terms": [{"version": f"{plan}-v1", "price": PRICES[plan]}], "lanes": lanes,
        }  # fmt: skip
        self.cloud.sqs.send_message(QueueUrl=self.outputs["JobsQueueUrl"], MessageBody=json.dumps(message))


def stamp(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def charge(plan, created, deleted, through):
    """What the rules charge for a server's hours before `through`, in steps, and how many hours those are."""
    end = through * HOUR if deleted is None else min(deleted, through * HOUR)
    hours = range(created // HOUR, min(through, -(-end // HOUR) if end > created else created // HOUR + 1))
    months = defaultdict(int)
    for hour in hours:
        months[stamp(hour * HOUR)[:7]] += 1
    step_of = lambda n: round(Fraction(PRICES[plan]) * STEPS * min(n, HOURS_PER_MONTH) / HOURS_PER_MONTH)  # half to even
    return sum(step_of(n) for n in months.values()), len(hours)


def compare(stage, servers):
    """Every server's bill, by the rules and by the ledger."""
    through = calendar.timegm(time.strptime(stage.daemon()["billedThrough"], "%Y-%m-%dT%H:%M:%SZ")) // HOUR
    billed = defaultdict(lambda: [0, 0])
    for page in stage.export():
        for line in page["lines"]:
            billed[line["server"]][0] += int(Fraction(line["amount"]) * STEPS)
            billed[line["server"]][1] += line["hours"]
    expected = {server: list(charge(plan, created, deleted, through)) for server, _, plan, created, deleted in servers}
    expected = {server: bill for server, bill in expected.items() if bill[1]}
    assert dict(billed) == expected, {s: (billed.get(s), expected.get(s)) for s in set(billed) | set(expected) if billed.get(s) != expected.get(s)}
    return sum(hours for _, hours in expected.values()), sum(steps for steps, _ in expected.values())


def secrets(stage):
    """The three secrets of a stage; their ARNs as parameters."""
    generate = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    key = subprocess.run(generate, check=True, capture_output=True, text=True).stdout
    values = {"access-key": key, "stripe": json.dumps(deploy_shop.STRIPE), "paypal": json.dumps(deploy_shop.PAYPAL)}
    create = lambda name, value: stage.cloud.secretsmanager.create_secret(Name=f"skymeter-dev/{name}", SecretString=value)["ARN"]
    arns = {name: create(name, value) for name, value in values.items()}
    parameters = {"AccessKeySecretArn": arns["access-key"], "StripeSecretArn": arns["stripe"], "PaypalSecretArn": arns["paypal"]}
    return parameters, key.splitlines()[1]


def refusals(stage, good):
    """A deploy that cannot work is refused with a sentence, before anything is there."""
    absent = good["StripeSecretArn"].replace("stripe", "no-such-secret")
    cases = [
        ("dev", {}, [], "AccessKeySecretArn"),
        ("dev", good, ["StripeSecretArn=my-secret"], "StripeSecretArn"),
        ("dev", good, [f"StripeSecretArn={absent}"], "what the setting StripeSecretArn refers to cannot be read"),
        ("dev", good, [f"StripeSecretArn={good['PaypalSecretArn']}"], "StripeSecretArn"),
        ("dev", good, [f"AccessKeySecretArn={good['StripeSecretArn']}"], "not a P-256 private key"),
        ("dev", good, ["MailFrom=nobody"], "MailFrom"),
        ("dev", good, ["FrontendUrl=https://panel.example.com/"], "FrontendUrl"),
        ("dev", good, ["ScheduleExpression=hourly"], "ScheduleExpression"),
        ("dev", good, ["ScheduleExpression=cron(61 * * * ? *)"], "ScheduleExpression"),
        ("dev", good, ["LogRetentionDays=2"], "LogRetentionDays"),
        ("dev", good, ["AlarmEmail=nobody"], "AlarmEmail"),
        ("dev", good, ["nonsense"], "is no Parameter=Value"),
        ("prod", good, [], "Stage prod needs AlarmEmail"),
        ("staging", good, [], "usage: infra/deploy dev|prod"),
    ]
    for name, parameters, more, sentence in cases:
        named = {parameter.split("=", 1)[0] for parameter in more}
        parameters = [f"{name}={value}" for name, value in parameters.items() if name not in named]
        went_well, said = stage.deploy(*parameters, *more, stage=name)
        assert not went_well and sentence in said, f"{name} {more}: {said}"
    assert stage.stacks() == [], stage.stacks()
    assert stage.cloud.dynamodb.list_tables()["TableNames"] == []


def starts():
    """A function that lacks a setting says which, and ends."""
    full = {
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9", "AWS_REGION": "us-east-1", "LEDGER_TABLE": "ledger", "MAIN_TABLE": "main",
        "METERING_QUEUE_URL": "http://host/1/m", "JOBS_QUEUE_URL": "http://host/1/j", "PARKED_QUEUE_URL": "http://host/1/p",
        "MAIL_QUEUE_URL": "http://host/1/mails", "IDENTITY_TABLE": "identity",
    }  # fmt: skip
    cases = [
        ("metering", {"JOBS_QUEUE_URL": None}, "the environment variable JOBS_QUEUE_URL is not set"),
        ("metering", {"METERING_QUEUE_URL": "jobs"}, "the setting METERING_QUEUE_URL is malformed"),
        ("biller", {"LEDGER_TABLE": ""}, "the environment variable LEDGER_TABLE is not set"),
        ("projector", {"MAIN_TABLE": "no table"}, "the setting MAIN_TABLE is malformed"),
        ("health", {"MAIN_TABLE": None}, "the environment variable MAIN_TABLE is not set"),
        ("auth", {}, "the environment variable ACCESS_KEY_SECRET_ARN is not set"),
        ("auth", {"IDENTITY_TABLE": None}, "the environment variable IDENTITY_TABLE is not set"),
        ("admin", {}, "the environment variable SCHEDULE_NAME is not set"),
        ("lifecycle", {"MAIL_QUEUE_URL": "mails"}, "the setting MAIL_QUEUE_URL is malformed"),
        ("billing", {}, "the environment variable PAYMENT_RETURN_URL is not set"),
        ("payments", {"MAIL_QUEUE_URL": None}, "the environment variable MAIL_QUEUE_URL is not set"),
        ("webhooks", {}, "the environment variable PAYMENT_RETURN_URL is not set"),
        ("health", {"RUST_LOG": "a=b=c"}, "the setting RUST_LOG is malformed"),
    ]
    for name, changes, sentence in cases:
        env = {key: value for key, value in {**full, **changes}.items() if value is not None}
        program = ROOT / "target/lambda" / name / "bootstrap"
        done = subprocess.run([program], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and sentence in done.stdout, f"{name} {changes}: {done.stdout}{done.stderr}"


def sample(stage, event, shop):
    """A file of `events/`, with what is only true here and now: a token that holds, a signature of this minute."""
    content = json.loads(event.read_text())
    if "authorization" in content.get("headers", {}):
        content["headers"]["authorization"] = f"Bearer {shop.sign_in(deploy_shop.ADMIN)}"
    if "stripe-signature" in content.get("headers", {}):
        content["headers"] |= deploy_shop.signed(content["body"].encode())
    return directory_file(stage, event.name, json.dumps(content))


def samples(stage, parameters, shop):
    """`cargo lambda invoke` with each file of `events/`, on functions that `cargo lambda watch` builds and runs."""
    cloud = stage.cloud
    text = (ROOT / "infra/local.env").read_text().replace("http://127.0.0.1:4566", cloud.url)
    text = text.replace("http://127.0.0.1:4700", shop.sandbox.url)
    arns = {"ACCESS_KEY_SECRET_ARN": "AccessKeySecretArn", "STRIPE_SECRET_ARN": "StripeSecretArn", "PAYPAL_SECRET_ARN": "PaypalSecretArn"}
    lines = [line for line in text.splitlines() if not line.startswith(("#", *arns))]
    lines += [f"{name}={parameters[parameter]}" for name, parameter in arns.items()]
    file = directory_file(stage, "watch.env", "\n".join(lines) + "\n")
    port = str(free_port())
    log = open(stage.directory / "watch.log", "wb")
    address = ["--invoke-address", "127.0.0.1", "--invoke-port", port]
    watch = subprocess.Popen(
        [stage.cargo_lambda, "lambda", "watch", "--ignore-changes", *address, "--env-file", file],
        cwd=ROOT, env=cloud.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    try:
        for event in sorted((ROOT / "events").glob("*.json")):
            function = event.name.split("-")[0]
            data = sample(stage, event, shop)
            invoke = [stage.cargo_lambda, "lambda", "invoke", function, *address, "--data-file", data, "--output-format", "json"]

            def answer():
                done = subprocess.run(invoke, cwd=ROOT, env=cloud.env, capture_output=True, text=True)
                # Until the server listens, and while the first function is compiled, there is no answer.
                return done.stdout if done.returncode == 0 else None

            said = json.loads(wait_for(f"{function} answers {event.name}", answer, 600) or "null")
            print(f"   {event.name}: {json.dumps(said)[:100]}")
            assert not said or "errorMessage" not in said, said
            # `cargo lambda watch` hands over a deadline in 1970, and the mailer begins no mail it has no time for.
            assert not said or not said.get("batchItemFailures") or function == "mailer", said
            assert not said or said.get("statusCode", 200) == 200, said
    except BaseException:
        sys.stderr.write((stage.directory / "watch.log").read_text(errors="replace")[-4000:])
        raise
    finally:
        stop(watch)


def nothing_leaks(stage, secrets):
    """No secret, token, password or address stands in a function's environment or log."""
    for name in FUNCTIONS:
        settings = json.dumps(stage.cloud.__dict__["lambda"].get_function_configuration(FunctionName=f"skymeter-dev-{name}"), default=str)
        pages = stage.cloud.logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/skymeter-dev-{name}")
        messages = [event["message"] for page in pages for event in page["events"]]
        assert messages, f"{name} has no log"
        for secret in secrets:
            assert secret not in settings and all(secret not in message for message in messages), f"{name} shows {secret}"


def fleet(now):
    """Servers of the last two days: running, gone, restarted as others; always the same ones."""
    rng = random.Random(7)
    start = now // HOUR * HOUR - 48 * HOUR
    servers = []
    for n in range(120):
        created = start + rng.randrange(47 * HOUR)
        deleted = created + rng.randrange(20 * HOUR) if rng.random() < 0.4 else None
        deleted = None if deleted is not None and deleted >= now - HOUR else deleted
        servers.append((f"srv-{n:03}", f"cus-{rng.randrange(30):02}", rng.choice(list(PRICES)), created, deleted))
    return servers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["--sam", "--ministack", "--skymeter", "--cargo-lambda"]:
        parser.add_argument(name, required=True)
    arguments = parser.parse_args()
    # Told to go: what was started goes, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        cloud = Emulator(arguments.ministack, directory)
        try:
            wait_for("the emulator answers", cloud.ready, 60)
            stage = Stage(cloud, arguments, directory)
            shop = Shop(stage, Sandbox(stage.skymeter, cloud.env, directory))
            try:
                test(stage, shop)
            finally:
                shop.sandbox.stop()
        except BaseException:
            cloud.log.flush()
            sys.stderr.write((directory / "ministack.log").read_text(errors="replace")[-6000:])
            raise
        finally:
            stop(cloud.process)
    step("done")


def test(stage, shop):
    cloud = stage.cloud
    step("functions that lack a setting")
    starts()
    step("deploys that are refused")
    parameters, private_key = secrets(stage)
    shop.secrets.append(private_key)
    parameters |= {
        "MailFrom": "billing@example.com", "MailIdentity": "example.com", "SupportEmail": "help@example.com",
        "FrontendUrl": "https://panel.example.com", "StripeUrl": shop.sandbox.url, "PaypalUrl": shop.sandbox.url,
    }  # fmt: skip
    refusals(stage, parameters)

    step("the first deploy, with a schedule of one minute")
    cloud.ses.verify_domain_identity(Domain=deploy_shop.MAIL_DOMAIN)
    stage.deployed(*(f"{name}={value}" for name, value in parameters.items()), "ScheduleExpression=rate(1 minute)")
    for kind in ["Bounce", "Complaint"]:
        topic = stage.outputs["MailFeedbackTopicArn"]
        cloud.ses.set_identity_notification_topic(Identity=deploy_shop.MAIL_DOMAIN, NotificationType=kind, SnsTopic=topic)
    shop.sandbox.start(shop.webhooks)
    assert stage.ask("/health") == (200, {"status": "ok"})
    assert stage.ask("/api/health/billing-daemon")[0] == 401
    for page in ["/openapi.json", "/docs/", "/docs/swagger-ui.css", "/redoc", "/.well-known/jwks.json", "/api/billing/plans"]:
        assert stage.ask(page)[0] == 200, page

    step("the first admin, and a monitor with an API key")
    admin = shop.sign_up(deploy_shop.ADMIN)
    shop.said(403, "GET", "/admin/users", admin)
    print("   " + stage.command("admin", deploy_shop.ADMIN).strip())
    shop.said(200, "GET", "/admin/users", admin)
    stage.monitor = shop.monitor(admin)
    # An hour that ends in the middle of the test would make its figures moving targets.
    left = HOUR - time.time() % HOUR
    if left < 420:
        step(f"waiting {left:.0f} s for the next hour")
        time.sleep(left + 2)
    now = int(time.time())
    # `skymeter switch on` begins with the next full hour, as it must; the test cannot wait for that.
    switch = {"pk": {"S": "SETTINGS"}, "sk": {"S": "server_hourly_billing_enabled"}, "rev": {"N": "1"}, "d": {"S": f"[[{now // HOUR - 72},true]]"}}
    cloud.dynamodb.put_item(TableName=stage.outputs["MainTable"], Item=switch)
    servers = fleet(now)
    stage.load("fleet", servers)
    stage.load("fleet", servers)

    step("the schedule fires, and every hour is billed")
    healthy = lambda: stage.daemon().get("status") == "ok"
    wait_for("a run by the schedule", healthy)
    stage.settled()
    hours, steps = compare(stage, servers)
    print(f"   {hours} server-hours, {steps / STEPS:.6f} USD, as the rules say")
    by_hand(stage)
    # The stream has fed the roll-ups: health's figures for the last hour are those of the ledger.
    last = (now // HOUR - 1) * HOUR
    running = sum(1 for _, _, _, created, deleted in servers if created < last + HOUR and (deleted is None or deleted > last))
    wait_for("the totals", lambda: stage.daemon().get("totalHours") == running)

    step("metering, invoked by hand, bills nothing twice")
    pages = stage.export()
    stage.invoke_metering()
    stage.settled()
    assert stage.export() == pages

    step("a customer buys by Stripe and by PayPal, and is given back a part")
    customer = shop.sign_up(deploy_shop.CUSTOMER)
    card, _ = deploy_shop.buys(shop, customer, shop.sign_in(deploy_shop.ADMIN))
    waiting = deploy_shop.lost(shop, customer)

    step("forged webhooks, and an address that refuses mail")
    deploy_shop.forged(shop, customer, card)
    deploy_shop.bounces(shop)
    stage.settled()
    pages = stage.export()

    step("an update with one parameter changed")
    stage.deployed("ScheduleState=DISABLED")
    assert stage.export() == pages
    stage.settled()

    step("a poisoned job is parked alone")
    through = now // HOUR
    neighbours = [(f"new-{n}", f"cus-{n:02}", "small", now - 3 * HOUR, None) for n in range(3)]
    stage.load("neighbours", neighbours)
    stage.send_job(neighbours, through, spoil={"server": "srv-poison", "amount": "5.00"})
    wait_for("the poisoned job is parked", lambda: stage.waiting("ParkedQueueUrl") == 1)
    parked = json.loads(cloud.sqs.receive_message(QueueUrl=stage.outputs["ParkedQueueUrl"])["Messages"][0]["Body"])
    assert "srv-poison" in parked["job"] and "does not parse" in parked["reason"], parked
    servers += neighbours
    stage.settled()
    compare(stage, servers)

    step("a message that fails five times, and its redrive")
    lost = [("new-9", "cus-09", "large", now - 2 * HOUR, None)]
    stage.load("lost", lost)
    # So that five tries do not take an hour.
    cloud.sqs.set_queue_attributes(QueueUrl=stage.outputs["JobsQueueUrl"], Attributes={"VisibilityTimeout": "1"})
    stage.send_job(lost, through + 2)
    wait_for("a dead letter", lambda: stage.waiting("JobsDeadQueueUrl") == 1)
    assert stage.run("verify").returncode == 1, "new-9 is due"
    cloud.sqs.set_queue_attributes(QueueUrl=stage.outputs["JobsQueueUrl"], Attributes={"VisibilityTimeout": "730"})
    print("   " + stage.command("redrive").strip())
    assert stage.waiting("JobsDeadQueueUrl") == 0
    servers += lost
    stage.settled()
    compare(stage, servers)
    assert stage.command("rebuild")

    step("what no webhook told of is found by asking")
    customer = shop.sign_in(deploy_shop.CUSTOMER)
    deploy_shop.found(shop, customer, waiting)
    wait_for("all of it is credited", lambda: shop.balance(customer) == "20.50")
    expected = [("payment", "1.00"), ("payment", "2.00"), ("payment", "20.00"), ("payment", "5.00"), ("refund", "-2.50"), ("refund", "-5.00")]
    steps_of = lambda pages: sorted((kind, Fraction(amount)) for kind, amount in pages)
    money, balance = deploy_shop.in_ledger(shop, customer)
    assert (steps_of(money), Fraction(balance)) == (steps_of(expected), Fraction("20.50")), money
    wait_for("a receipt of each", lambda: len([mail for mail in shop.mails(deploy_shop.CUSTOMER) if "Receipt" in mail["Subject"]]) == 4)
    stage.settled()
    compare(stage, servers)
    by_hand(stage)

    step("an admin changes the schedule")
    admin = shop.sign_in(deploy_shop.ADMIN)
    shop.said(200, "PUT", "/admin/settings/server_hourly_billing_cron_schedule", admin, {"value": "30 * * * *"})
    held = cloud.scheduler.get_schedule(Name="skymeter-dev-metering")
    assert (held["ScheduleExpression"], held["State"]) == ("cron(30 * * * ? *)", "DISABLED"), held
    assert shop.said(200, "GET", "/admin/cron/status", admin)["in_sync"] is True
    shop.said(202, "POST", "/admin/cron/trigger-hourly-billing", admin, {})
    stage.settled()
    compare(stage, servers)

    step("tables of a newer version refuse an older release")
    version = {"pk": {"S": "SCHEMA"}, "sk": {"S": "VERSION"}}
    known = cloud.dynamodb.get_item(TableName=stage.outputs["MainTable"], Key=version)["Item"]
    cloud.dynamodb.put_item(TableName=stage.outputs["MainTable"], Item={**version, "v": {"N": "999"}})
    before = cloud.cloudformation.describe_stack_events(StackName="skymeter-dev")["StackEvents"]
    for went_well, said in [stage.deploy("LogRetentionDays=7"), (stage.run("verify").returncode == 0, stage.run("verify").stderr)]:
        assert not went_well and "written by a newer version of Skymeter (format 999" in said, said
    assert cloud.cloudformation.describe_stack_events(StackName="skymeter-dev")["StackEvents"] == before
    cloud.dynamodb.put_item(TableName=stage.outputs["MainTable"], Item=known)

    step("every sample event, through cargo lambda watch and invoke")
    samples(stage, parameters, shop)

    step("nothing secret was shown, and the ledger outlives its stack")
    nothing_leaks(stage, shop.secrets)
    stage.command("verify")
    pages = stage.export()
    cloud.cloudformation.delete_stack(StackName="skymeter-dev")
    wait_for("the stack is gone", lambda: "skymeter-dev" not in stage.stacks())
    assert stage.export() == pages
    stage.command("verify")
    try:
        cloud.__dict__["lambda"].get_function(FunctionName="skymeter-dev-biller")
        raise AssertionError("the biller is still there")
    except ClientError:
        pass


def by_hand(stage):
    """The check of the README, on what the ledger holds now."""
    exported = directory_file(stage, "pages.jsonl", "\n".join(map(json.dumps, stage.export())) + "\n")
    check = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]
    done = subprocess.run([sys.executable, "-c", check], stdin=open(exported), check=True, capture_output=True, text=True)
    print("   " + done.stdout.strip())


def directory_file(stage, name, text):
    path = stage.directory / name
    path.write_text(text)
    return path


if __name__ == "__main__":
    main()
