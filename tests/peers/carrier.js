// A carrier on npm `smpp`: answers, sends receipts and replies, enquires once after each bind.
// usage: node carrier.js PLAN (JSON); prints one JSON line for everything it saw; ends with stdin.
// With `hold_receipts` in the plan, receipts wait for a line on stdin.
'use strict';

const { createRequire } = require('module');
const plan = JSON.parse(process.argv[2]);
const smpp = createRequire(`${plan.modules}/`)('smpp');

const ENCODINGS = { 0: 'ASCII', 3: 'LATIN1', 8: 'UCS2' };
const say = (event, fields) => process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
const receivers = {};
let id = 4000000000;
const held = [];

// The library gives texts; the octets behind them stay with their message.
const { decode } = smpp.filters.message;
smpp.filters.message.decode = function (value, ...rest) {
  const message = decode.call(this, value, ...rest);
  if (Buffer.isBuffer(value)) message.octets = value;
  return message;
};

function deliver(session, system_id, fields) {
  const to = session.mode === 'transceiver' ? session : (receivers[system_id] || [])[0];
  if (!to) return say('undeliverable', {});
  to.deliver_sm(fields, (answer) => say('deliver_answer', { command: answer.command, status: answer.command_status }));
}

function back(pdu) {
  return {
    source_addr_ton: 1, source_addr_npi: 1, source_addr: pdu.destination_addr,
    dest_addr_ton: 0, dest_addr_npi: 1, destination_addr: pdu.source_addr,
  };
}

function receipt(session, system_id, pdu, message_id) {
  const text = `id:${message_id} sub:001 dlvrd:001 submit date:2611240900 done date:2611240901 stat:DELIVRD err:000 text:`;
  deliver(session, system_id, { ...back(pdu), esm_class: 4, short_message: text, receipted_message_id: message_id, message_state: 2 });
}

function reply(session, system_id, pdu, text) {
  const ucs2 = /[^\x20-\x7e]/.test(text);
  const short_message = smpp.encodings[ucs2 ? 'UCS2' : 'ASCII'].encode(text);
  deliver(session, system_id, { ...back(pdu), data_coding: ucs2 ? 8 : 0, short_message });
}

function submitted(session, system_id, pdu) {
  const message_id = String(id += 1);
  const { message, octets } = pdu.message_payload || pdu.short_message;
  const text = Buffer.isBuffer(message) ? smpp.encodings[ENCODINGS[pdu.data_coding]].decode(message) : message;
  const header = pdu.esm_class & 0x40 ? octets[0] + 1 : 0;
  say('submit', {
    message_id, source: pdu.source_addr, destination: pdu.destination_addr, data_coding: pdu.data_coding,
    text, octets: octets.subarray(header).toString('hex'),
  });
  session.send(pdu.response({ message_id }));
  const send = () => receipt(session, system_id, pdu, message_id);
  if (pdu.registered_delivery & 1) plan.hold_receipts ? held.push(send) : send();
  for (const text of plan.replies || []) reply(session, system_id, pdu, text);
}

function serve(session) {
  let system_id;
  session.on('error', (error) => say('error', { why: String(error) }));
  session.on('close', () => {
    say('close', {});
    if (receivers[system_id]) receivers[system_id] = receivers[system_id].filter((other) => other !== session);
  });
  for (const mode of ['transmitter', 'receiver', 'transceiver']) {
    session.on(`bind_${mode}`, (pdu) => {
      const good = plan.password === undefined || pdu.password === plan.password;
      say('bind', { mode, system_id: pdu.system_id, password: pdu.password });
      session.send(pdu.response({ command_status: good ? 0 : smpp.ESME_RINVPASWD, system_id: 'node-carrier' }));
      if (!good) return;
      system_id = pdu.system_id;
      session.mode = mode;
      if (mode !== 'transmitter') (receivers[system_id] = receivers[system_id] || []).push(session);
      session.enquire_link((answer) => say('link', { status: answer.command_status }));
    });
  }
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => { say('unbind', {}); session.send(pdu.response(), () => session.close()); });
  session.on('unknown', (pdu) => say('unknown', { command_id: pdu.command_id }));
  session.on('submit_sm', (pdu) => submitted(session, system_id, pdu));
}

const server = smpp.createServer(serve);
server.listen(plan.port || 0, '127.0.0.1', () => say('listening', { port: server.address().port }));
process.stdin.on('data', () => held.splice(0).forEach((send) => send())).on('end', () => process.exit(0));
