// An ESME on npm `smpp`: binds, sends what the plan says, waits for deliveries, unbinds.
// usage: node esme.js PLAN (JSON); prints one JSON line for everything it saw.
'use strict';

const { createRequire } = require('module');
const plan = JSON.parse(process.argv[2]);
const smpp = createRequire(`${plan.modules}/`)('smpp');

// Where a message is split: so many octets a part, behind a header for a part of so many.
const ENCODINGS = {
  gsm7: { data_coding: 0, name: 'ASCII', part: 153 },
  latin1: { data_coding: 3, name: 'LATIN1', part: 134 },
  ucs2: { data_coding: 8, name: 'UCS2', part: 134 },
};
const PAUSE = 100;
const say = (event, fields) => process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
const fail = (why) => { say('failure', { why: String(why) }); process.exit(1); };
const pause = () => new Promise((resume) => setTimeout(resume, PAUSE));

setTimeout(() => fail('out of patience'), plan.patience_ms).unref();

let session;
let deliveries = 0;
let accepted = 0;
let reference = 0;
let changed = () => {};

// Connects and binds; the session, or the status that refused it.
function bind() {
  return new Promise((resolve) => {
    const fresh = smpp.connect({ host: plan.host, port: plan.port }, () => {
      fresh[`bind_${plan.mode}`]({ system_id: plan.system_id, password: plan.password }, (answer) => {
        if (answer.command_status !== 0) fresh.close();
        else serve(fresh);
        resolve({ status: answer.command_status, system_id: answer.system_id });
      });
    });
    fresh.on('error', (error) => resolve({ why: String(error) }));
    fresh.on('close', () => resolve({ why: 'closed' }));
  });
}

function serve(fresh) {
  session = fresh;
  session.on('close', () => { say('close', {}); session = undefined; changed(); });
  session.on('enquire_link', (pdu) => fresh.send(pdu.response()));
  session.on('unbind', (pdu) => fresh.send(pdu.response(), () => fresh.close()));
  session.on('deliver_sm', (pdu) => {
    say('deliver', {
      source: pdu.source_addr, destination: pdu.destination_addr, esm_class: pdu.esm_class, data_coding: pdu.data_coding,
      text: pdu.short_message.message, message_id: pdu.receipted_message_id, state: pdu.message_state,
    });
    fresh.send(pdu.response());
    deliveries += 1;
    changed();
  });
}

async function until(done) {
  while (!done()) await new Promise((resume) => { changed = resume; });
}

async function rebind() {
  say('waiting', {});
  await until(() => !session);
  while (!session) {
    const { status } = await bind();
    if (session) say('bind', { status });
    else await pause();
  }
}

// The octets of each part, with a header where there are several.
function parts(message, { name, part }) {
  const octets = smpp.encodings[name].encode(message.text);
  if (!message.split || message.payload) return [octets];
  const total = Math.ceil(octets.length / part);
  reference += 1;
  return Array.from({ length: total }, (_, n) => ({
    udh: Buffer.from([5, 0, 3, reference, total, n + 1]), message: octets.subarray(n * part, (n + 1) * part),
  }));
}

function submit(n, part, message, data_coding, short_message) {
  const fields = {
    source_addr_ton: 0, source_addr_npi: 1, source_addr: message.source, dest_addr_ton: 1, dest_addr_npi: 1,
    destination_addr: message.destination, registered_delivery: message.registered_delivery || 0, data_coding,
    esm_class: short_message.udh ? 0x40 : 0,
    ...(message.payload ? { message_payload: short_message } : { short_message }),
  };
  return new Promise((resolve) => session.submit_sm(fields, (answer) => {
    say('answer', { n, part, command: answer.command, status: answer.command_status, message_id: answer.message_id });
    if (answer.command_status === 0) accepted += 1;
    resolve();
  }));
}

// One message after the other; the parts of one at once, or each when the last is answered.
async function send(n, message) {
  if (message.after_loss) await rebind();
  await until(() => deliveries >= (message.after || 0));
  const encoding = ENCODINGS[message.encoding];
  const answers = [];
  for (const [part, octets] of parts(message, encoding).entries()) {
    answers.push(submit(n, part, message, encoding.data_coding, octets));
    if (message.one_by_one) await answers[part];
  }
  await Promise.all(answers);
}

async function main() {
  const { why, ...bound } = await bind();
  if (why) return fail(why);
  say('bind', bound);
  if (!session) return;
  for (const [n, message] of plan.messages.entries()) await send(n, message);
  await new Promise((resolve) => session.enquire_link((answer) => {
    say('link', { command: answer.command, status: answer.command_status });
    resolve();
  }));
  const expected = plan.deliveries + (plan.receipts_for_accepted ? accepted : 0);
  await until(() => deliveries >= expected);
  await new Promise((resolve) => session.unbind((answer) => {
    say('unbind', { status: answer.command_status });
    resolve();
  }));
  session.close();
}

main().then(() => process.exit(0), fail);
