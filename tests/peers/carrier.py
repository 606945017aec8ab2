"""A carrier on PyPI smpp34: accepts, sends receipts and replies.

usage: python carrier.py PLAN (JSON); prints one JSON line for everything it saw; ends with stdin.
"""
import asyncio
import json
import os
import sys
import threading

import smpp34

RECEIPT = "id:{} sub:001 dlvrd:001 submit date:2611240900 done date:2611240901 stat:DELIVRD err:000 text:"
UDHI = 0x40


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def end_with_stdin():
    sys.stdin.read()
    os._exit(0)


def octets_of(submit):
    payloads = [tlv.value for tlv in submit.tlvs if tlv.tag == smpp34.TLV_MESSAGE_PAYLOAD]
    octets = payloads[0] if payloads else submit.short_message
    return octets[octets[0] + 1:] if submit.esm_class & UDHI else octets


class Carrier:
    def __init__(self, plan):
        self.plan, self.sessions, self.count = plan, {}, 5_000_000_000
        # Kept while they run: the loop itself holds tasks weakly.
        self.tasks = set()

    async def serve(self):
        server = smpp34.Server(host="127.0.0.1", port=self.plan["port"], system_id="smpp34-carrier")
        await server.start()
        say("listening", port=self.plan["port"])
        while True:
            event = await server.next()
            if isinstance(event, smpp34.Esme):
                self.sessions[event.session_id] = event
                say("bind", system_id=event.system_id)
            elif isinstance(event, smpp34.SubmitSmEvent):
                await self.submitted(event)
            elif isinstance(event, smpp34.Unbound):
                self.sessions.pop(event.session_id, None)
                say("unbind")

    async def submitted(self, submit):
        self.count += 1
        message_id = str(self.count)
        say("submit", message_id=message_id, source=submit.source_addr, destination=submit.destination_addr,
            data_coding=submit.data_coding, octets=octets_of(submit).hex())
        submit.accept(message_id=message_id)
        if submit.registered_delivery & 1:
            self.deliver(submit, RECEIPT.format(message_id).encode(), esm_class=4, tlvs=[
                smpp34.Tlv(smpp34.TLV_RECEIPTED_MESSAGE_ID, message_id.encode() + b"\0"),
                smpp34.Tlv(smpp34.TLV_MESSAGE_STATE, b"\2"),
            ])
        for text in self.plan.get("replies", []):
            octets, coding = (text.encode(), 0) if text.isascii() else (text.encode("utf-16-be"), 8)
            self.deliver(submit, octets, data_coding=coding)

    def deliver(self, submit, octets, **fields):
        async def send(session):
            # accept() only queues the answer; a receipt sent at once may overtake it, and some ESMEs drop it then.
            await asyncio.sleep(0.2)
            answer = await session.deliver_sm(
                submit.source_addr, octets, source_addr=submit.destination_addr, source_addr_ton=1, source_addr_npi=1,
                dest_addr_ton=0, dest_addr_npi=1, **fields)
            say("deliver_answer", command="deliver_sm_resp", status=answer.command_status)

        ours = self.sessions[submit.session_id]
        able = [ours] if ours.can_receive else [s for s in self.sessions.values() if s.can_receive]
        if not able:
            return say("undeliverable")
        # Its answer comes while other events are served.
        task = asyncio.ensure_future(send(able[0]))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


threading.Thread(target=end_with_stdin, daemon=True).start()
try:
    asyncio.run(Carrier(json.loads(sys.argv[1])).serve())
except Exception as failure:  # every failure is a line for the test to read
    say("failure", why=repr(failure))
    sys.exit(1)
