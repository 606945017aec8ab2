"""An ESME on PyPI smpplib: binds, sends what the plan says, waits for deliveries, unbinds.

usage: python esme.py PLAN (JSON); prints one JSON line for everything it saw.
"""
import json
import socket
import sys
import time

import smpplib.client
import smpplib.exceptions
import smpplib.gsm
import smpplib.smpp

ENCODE = {
    "gsm7": (0, smpplib.gsm.gsm_encode),
    "latin1": (3, lambda text: text.encode("latin-1")),
    "ucs2": (8, lambda text: text.encode("utf-16-be")),
}
DECODE = {0: "ascii", 1: "ascii", 3: "latin-1", 8: "utf-16-be"}


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def text_of(value):
    return value.decode("latin-1").rstrip("\0") if isinstance(value, bytes) else value


class Esme(smpplib.client.Client):
    """Says every PDU it reads."""

    answered, deliveries, enquired = 0, 0, False

    def read_pdu(self):
        pdu = super().read_pdu()
        if pdu.command == "submit_sm_resp":
            say("answer", n=self.answered, command=pdu.command, status=pdu.status, message_id=text_of(pdu.message_id))
            self.answered += 1
        elif pdu.command == "generic_nack":
            say("answer", n=self.answered, command=pdu.command, status=pdu.status)
            self.answered += 1
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
        return pdu


def main():
    plan = json.loads(sys.argv[1])
    esme = Esme(plan["host"], plan["port"], timeout=1, allow_unknown_opt_params=True)
    esme.set_error_pdu_handler(lambda pdu: None)
    esme.set_message_sent_handler(lambda pdu: None)
    esme.set_message_received_handler(lambda pdu: None)
    deadline = time.monotonic() + plan["patience_ms"] / 1000

    def read_until(done):
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError("out of patience")
            try:
                esme.read_once(auto_send_enquire_link=False)
            except socket.timeout:
                pass

    esme.connect()
    try:
        bound = getattr(esme, "bind_" + plan["mode"])(system_id=plan["system_id"], password=plan["password"])
        say("bind", status=bound.status, system_id=text_of(bound.system_id))
    except smpplib.exceptions.PDUError as refusal:
        say("bind", status=refusal.args[1])
        esme.disconnect()
        return
    for n, message in enumerate(plan["messages"]):
        data_coding, encode = ENCODE[message["encoding"]]
        esme.send_message(
            source_addr_ton=0, source_addr_npi=1, source_addr=message["source"],
            dest_addr_ton=1, dest_addr_npi=1, destination_addr=message["destination"],
            registered_delivery=bool(message.get("registered_delivery")),
            data_coding=data_coding, short_message=encode(message["text"]))
        read_until(lambda: esme.answered > n)
    esme.send_pdu(smpplib.smpp.make_pdu("enquire_link", client=esme))
    read_until(lambda: esme.enquired and esme.deliveries >= plan["deliveries"])
    esme.unbind()
    esme.disconnect()
    say("close")


try:
    main()
except Exception as failure:  # every failure is a line for the test to read
    say("failure", why=repr(failure))
    sys.exit(1)
