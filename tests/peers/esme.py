"""An ESME on PyPI smpplib: binds, sends what the plan says, waits for deliveries, unbinds.

usage: python esme.py PLAN (JSON); prints one JSON line for everything it saw.
"""
import json
import socket
import sys
import time

import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.gsm
import smpplib.smpp

CODINGS = {"gsm7": 0, "latin1": 3, "ucs2": 8}
DECODE = {0: "ascii", 1: "ascii", 3: "latin-1", 8: "utf-16-be"}
PAUSE = 0.1


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def text_of(value):
    return value.decode("latin-1").rstrip("\0") if isinstance(value, bytes) else value


class Lost(Exception):
    """The connection is gone."""


class Esme(smpplib.client.Client):
    """Says every PDU it reads."""

    deliveries, accepted, enquired = 0, 0, False

    def __init__(self, plan, **options):
        super().__init__(plan["host"], plan["port"], timeout=1, allow_unknown_opt_params=True, **options)
        self.plan, self.asked, self.answered = plan, {}, set()
        self.deadline = time.monotonic() + plan["patience_ms"] / 1000
        self.set_error_pdu_handler(lambda pdu: None)
        self.set_message_sent_handler(lambda pdu: None)
        self.set_message_received_handler(lambda pdu: None)

    def read_pdu(self):
        pdu = super().read_pdu()
        if pdu.command in ("submit_sm_resp", "generic_nack") and pdu.sequence in self.asked:
            n, part = self.asked[pdu.sequence]
            say("answer", n=n, part=part, command=pdu.command, status=pdu.status,
                message_id=text_of(getattr(pdu, "message_id", None)))
            self.answered.add(pdu.sequence)
            self.accepted += pdu.status == 0
        elif pdu.command == "deliver_sm":
            say("deliver", source=text_of(pdu.source_addr), destination=text_of(pdu.destination_addr),
                esm_class=pdu.esm_class, data_coding=pdu.data_coding,
                text=pdu.short_message.decode(DECODE[pdu.data_coding]),
                message_id=text_of(pdu.receipted_message_id), state=pdu.message_state)
            self.deliveries += 1
        elif pdu.command == "enquire_link_resp":
            say("link", command=pdu.command, status=pdu.status)
            self.enquired = True
        elif pdu.command == "unbind_resp":
            say("unbind", status=pdu.status)
        elif pdu.command == "unbind":
            answer = smpplib.smpp.make_pdu("unbind_resp", client=self)
            answer.sequence = pdu.sequence
            self.send_pdu(answer)
            raise Lost
        return pdu

    def read_until(self, done):
        while not done():
            self.check_patience()
            try:
                self.read_once(auto_send_enquire_link=False)
            except socket.timeout:
                pass

    def check_patience(self):
        if time.monotonic() > self.deadline:
            raise TimeoutError("out of patience")

    def bind(self):
        """The answer, or the status that refused."""
        self.connect()
        try:
            bind = getattr(self, "bind_" + self.plan["mode"])
            bound = bind(system_id=self.plan["system_id"], password=self.plan["password"])
            return bound.status, text_of(bound.system_id)
        except smpplib.exceptions.PDUError as refusal:
            self.disconnect()
            return refusal.args[1], None

    def bind_again(self):
        say("waiting")
        try:
            self.read_until(lambda: False)
        except (Lost, smpplib.exceptions.ConnectionError):
            say("close")
        while True:
            self.check_patience()
            self.disconnect()
            try:
                status, _ = self.bind()
            except smpplib.exceptions.ConnectionError:
                status = None
            if status == 0:
                return say("bind", status=status)
            time.sleep(PAUSE)

    def submit(self, n, part, message, octets, data_coding, esm_class):
        """Sends one PDU; the number it went under."""
        sent = self.send_message(
            source_addr_ton=0, source_addr_npi=1, source_addr=message["source"],
            dest_addr_ton=1, dest_addr_npi=1, destination_addr=message["destination"],
            registered_delivery=bool(message.get("registered_delivery")),
            esm_class=esm_class, data_coding=data_coding, short_message=octets)
        self.asked[sent.sequence] = (n, part)
        return sent.sequence

    def send(self, n, message):
        """All parts at once, or each when the last is answered."""
        if message.get("after_loss"):
            self.bind_again()
        self.read_until(lambda: self.deliveries >= message.get("after", 0))
        coding = CODINGS[message["encoding"]]
        if message.get("split"):
            octets, coding, esm_class = smpplib.gsm.make_parts(message["text"], coding)
        else:
            encode = smpplib.gsm.ENCODINGS[coding][0]
            octets, esm_class = [encode(message["text"])], smpplib.consts.SMPP_MSGMODE_DEFAULT
        numbers = set()
        for part, chunk in enumerate(octets):
            numbers.add(self.submit(n, part, message, chunk, coding, esm_class))
            if message.get("one_by_one"):
                self.read_until(lambda: numbers <= self.answered)
        self.read_until(lambda: numbers <= self.answered)


def main():
    plan = json.loads(sys.argv[1])
    esme = Esme(plan)
    status, system_id = esme.bind()
    say("bind", status=status, system_id=system_id)
    if status != 0:
        return
    for n, message in enumerate(plan["messages"]):
        esme.send(n, message)
    esme.send_pdu(smpplib.smpp.make_pdu("enquire_link", client=esme))
    expected = plan["deliveries"] + (esme.accepted if plan.get("receipts_for_accepted") else 0)
    esme.read_until(lambda: esme.enquired and esme.deliveries >= expected)
    esme.unbind()
    esme.disconnect()
    say("close")


try:
    main()
except Exception as failure:  # every failure is a line for the test to read
    say("failure", why=repr(failure))
    sys.exit(1)
