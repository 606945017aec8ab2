// An ESME on npm `smpp`: binds, sends what the plan says, waits for deliveries, unbinds.
// usage: node esme.js PLAN (JSON); prints one JSON line for everything it saw.
'use strict';

const { createRequire } = require('module');
const plan = JSON.parse(process.argv[2]);
const smpp = createRequire(`${plan.modules}/`)('smpp');

const ENCODINGS = { gsm7: { data_coding: 0, name: 'ASCII' }, latin1: { data_coding: 3, name: 'LATIN1' }, ucs2: { data_coding: 8, name: 'UCS2' } };
const say = (event, fields) => process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
const fail = (why) => { say('failure', { why: String(why) }); process.exit(1); };

setTimeout(() => fail('out of patience'), plan.patience_ms).unref();

const session = smpp.connect({ host: plan.host, port: plan.port }, () => {
  session[`bind_${plan.mode}`]({ system_id: plan.system_id, password: plan.password }, (answer) => {
    say('bind', { status: answer.command_status, system_id: answer.system_id });
    if (answer.command_status !== 0) return session.close();
    sendNext(0);
  });
});
session.on('error', fail);
session.on('close', () => { say('close', {}); process.exit(0); });
session.on('enquire_link', (pdu) => session.send(pdu.response()));

let deliveries = 0;
session.on('deliver_sm', (pdu) => {
  say('deliver', {
    source: pdu.source_addr, destination: pdu.destination_addr, esm_class: pdu.esm_class, data_coding: pdu.data_coding,
    text: pdu.short_message.message, message_id: pdu.receipted_message_id, state: pdu.message_state,
  });
  session.send(pdu.response());
  deliveries += 1;
  finishWhenDone();
});

let answered = 0;
// One after the other: the answers then stand in the order of the plan.
function sendNext(n) {
  if (n === plan.messages.length) return enquire();
  const { source, destination, text, encoding, registered_delivery } = plan.messages[n];
  const { data_coding, name } = ENCODINGS[encoding];
  const submit = {
    source_addr_ton: 0, source_addr_npi: 1, source_addr: source, dest_addr_ton: 1, dest_addr_npi: 1,
    destination_addr: destination, registered_delivery: registered_delivery || 0, data_coding,
    short_message: smpp.encodings[name].encode(text),
  };
  session.submit_sm(submit, (answer) => {
    say('answer', { n, command: answer.command, status: answer.command_status, message_id: answer.message_id });
    answered += 1;
    sendNext(n + 1);
  });
}

let enquired = false;
function enquire() {
  session.enquire_link((answer) => {
    say('link', { command: answer.command, status: answer.command_status });
    enquired = true;
    finishWhenDone();
  });
}

function finishWhenDone() {
  if (!enquired || deliveries < plan.deliveries) return;
  enquired = false;
  session.unbind((answer) => {
    say('unbind', { status: answer.command_status });
    session.close();
  });
}
