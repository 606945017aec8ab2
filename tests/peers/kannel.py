"""An ESME on Kannel: bearerbox towards the gate, smsbox sends what the plan says over HTTP.

usage: python kannel.py PLAN (JSON); prints one JSON line for everything Kannel reported, in the
words of the other ESMEs. Kannel splits long messages itself and reports each once. Its mode is
transceiver, or pair: a transmitter and a receiver.
"""
import http.server
import json
import os
import queue
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

# What a report means, by its dlr-mask bit.
DELIVERED, ACCEPTED, REFUSED = 1, 8, 16
MASK = DELIVERED | ACCEPTED | REFUSED
CODINGS = {"gsm7": 0, "ucs2": 2}
PAUSE = 0.05
# Kannel's own coding of a reply: 0 is GSM, 2 is UCS-2.
UCS2 = "2"

# One of them for each bind.
SMSC = """
group = smsc
smsc = smpp
smsc-id = gate
host = {host}
{binding}
smsc-username = {system_id}
smsc-password = {password}
system-type = ""
source-addr-ton = 0
source-addr-npi = 1
source-addr-autodetect = false
dest-addr-ton = 1
dest-addr-npi = 1
reconnect-delay = 1
max-pending-submits = {pending}
"""
BINDINGS = {
    "transceiver": ["port = {port}\ntransceiver-mode = true"],
    "pair": ["port = {port}", "receive-port = {port}"],
}

CONFIG = """
group = core
admin-port = {admin}
admin-password = tests
smsbox-port = {smsbox}
box-allow-ip = "127.0.0.1"
log-file = {folder}/bearerbox.log
log-level = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
log-file = {folder}/smsbox.log
log-level = 1

group = sendsms-user
username = tests
password = tests
concatenation = true
max-messages = 10

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = "http://127.0.0.1:{callback}/reply?from=%p&to=%P&coding=%c&text=%b"
"""


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Callback(http.server.BaseHTTPRequestHandler):
    """Kannel's reports and replies become events."""

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query, keep_blank_values=True, encoding="latin-1")
        self.server.events.put((url.path, {name: values[0] for name, values in query.items()}))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Kannel:
    def __init__(self, plan):
        self.plan, self.processes, self.deliveries, self.answered = plan, [], 0, set()
        self.deadline = time.monotonic() + plan["patience_ms"] / 1000
        self.bindings = BINDINGS[plan["mode"]]
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Callback)
        self.server.events = queue.Queue()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.ports = {name: free_port() for name in ("admin", "smsbox", "sendsms")}

    def start(self):
        keys = ("host", "port", "system_id", "password")
        settings = {**{key: self.plan[key] for key in keys}, **self.ports, "folder": self.plan["folder"],
                    "callback": self.server.server_address[1], "pending": self.plan.get("window", 10)}
        config = CONFIG.format(**settings)
        for binding in self.bindings:
            config += SMSC.format(binding=binding.format(**settings), **settings)
        file = os.path.join(self.plan["folder"], "kannel.conf")
        with open(file, "w") as out:
            out.write(config)
        self.run("bearerbox", file)
        self.await_port("smsbox")
        self.run("smsbox", file)
        self.await_port("sendsms")
        self.await_link(True)
        self.await_box()
        say("bind", status=0)

    def run(self, program, config):
        # They must not outlive this script, however it ends.
        command = ["setpriv", "--pdeathsig", "KILL", "/usr/sbin/" + program, config]
        self.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL))

    def pause(self):
        if time.monotonic() > self.deadline:
            raise TimeoutError("out of patience")
        for process in self.processes:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args[3]} ended")
        time.sleep(PAUSE)

    def await_port(self, name):
        """Until somebody listens there; to connect would count as another smsbox."""
        listening = f":{self.ports[name]:04X} 00000000:0000 0A"
        while True:
            with open("/proc/net/tcp") as sockets:
                if listening in sockets.read():
                    return
            self.pause()

    def status(self):
        url = f"http://127.0.0.1:{self.ports['admin']}/status.xml?password=tests"
        return urllib.request.urlopen(url, timeout=5).read().decode()

    def await_link(self, online):
        wanted = len(self.bindings) if online else 0
        while self.status().count("<status>online") != wanted:
            self.pause()

    def await_box(self):
        while "<type>smsbox" not in self.status():
            self.pause()

    def send(self, n, message):
        if message.get("after_loss"):
            say("waiting")
            self.await_link(False)
            say("close")
            self.await_link(True)
            say("bind", status=0)
        self.read_until(lambda: self.deliveries >= message.get("after", 0))
        report = f"http://127.0.0.1:{self.server.server_address[1]}/report?n={n}&kind=%d&id=%F&text=%A"
        mask = MASK if message.get("registered_delivery") else ACCEPTED | REFUSED
        query = urllib.parse.urlencode({
            "username": "tests", "password": "tests", "from": message["source"], "to": message["destination"],
            "charset": "UTF-8", "coding": CODINGS[message["encoding"]], "text": message["text"],
            "dlr-mask": mask, "dlr-url": report})
        url = f"http://127.0.0.1:{self.ports['sendsms']}/cgi-bin/sendsms?{query}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status != 202:
                raise RuntimeError(f"sendsms: {answer.status} {answer.read()}")
        self.read_until(lambda: n in self.answered)

    def read_until(self, done):
        while not done():
            try:
                self.read(*self.server.events.get(timeout=PAUSE))
            except queue.Empty:
                self.pause()

    def read(self, path, fields):
        if path == "/reply":
            octets = fields["text"].encode("latin-1")
            self.deliveries += 1
            # It writes an international number with "+".
            return say("deliver", esm_class=0, source=fields["from"].lstrip("+"), destination=fields["to"],
                       text=octets.decode("utf-16-be" if fields["coding"] == UCS2 else "utf-8"))
        kind = int(fields["kind"])
        if kind == ACCEPTED:
            self.answer(int(fields["n"]), 0, fields["id"])
        elif kind == REFUSED:
            self.answer(int(fields["n"]), self.refusal(fields["text"]), None)
        else:
            self.deliveries += 1
            say("deliver", esm_class=4, message_id=fields["id"], state=2 if kind == DELIVERED else None)

    def refusal(self, text):
        """"NACK/", the status, "/" and its meaning; of a message in parts the log alone has it."""
        status = text.split("/")[1] or re.findall(r"returned error code (0x[0-9a-f]+)", self.log())[-1]
        return int(status, 0)

    def answer(self, n, status, message_id):
        say("answer", n=n, part=0, status=status, message_id=message_id)
        self.answered.add(n)

    def stop(self):
        if not self.processes:
            return
        bearerbox, *boxes = self.processes
        bearerbox.terminate()
        # A smsbox that had replies to serve does not always end by itself.
        for box in boxes:
            box.kill()
        try:
            bearerbox.wait(10)
        except subprocess.TimeoutExpired:
            bearerbox.kill()
        for process in self.processes:
            process.wait()

    def log(self):
        try:
            with open(os.path.join(self.plan["folder"], "bearerbox.log"), errors="replace") as log:
                return log.read()[-2000:]
        except OSError:
            return ""


def main():
    plan = json.loads(sys.argv[1])
    kannel = Kannel(plan)
    try:
        kannel.start()
        for n, message in enumerate(plan["messages"]):
            kannel.send(n, message)
        kannel.read_until(lambda: kannel.deliveries >= plan["deliveries"])
    except Exception as failure:  # every failure is a line for the test to read
        say("failure", why=repr(failure), log=kannel.log())
        sys.exit(1)
    finally:
        kannel.stop()
    say("close")


main()
