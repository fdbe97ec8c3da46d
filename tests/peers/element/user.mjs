// One process: one Matrix user. A real matrix-js-sdk client (rust crypto) and, on demand, the real Element Call as a widget in
// headless Chromium. Commands come as JSON lines on stdin ({"id":1,"cmd":"send_message",…}); answers ({"id":1,"ok":…} or
// {"id":1,"error":"…"}) and events ({"event":"…",…}) go out as JSON lines on stdout. Logs go to files in --dir.
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: opt } = parseArgs({ options: { name: { type: 'string' }, dir: { type: 'string' }, homeserver: { type: 'string' }, chromium: { type: 'string', default: '/usr/bin/chromium' } } });
const HERE = path.dirname(fileURLToPath(import.meta.url)), ELEMENT_CALL = path.join(HERE, 'node_modules/@element-hq/element-call-embedded/dist');
const DIR = path.resolve(opt.dir), J = JSON.stringify;
fs.mkdirSync(DIR, { recursive: true });
const log = fs.createWriteStream(path.join(DIR, `${opt.name}.sdk.txt`));
const browserLog = fs.createWriteStream(path.join(DIR, `${opt.name}.browser.txt`));
for (const m of ['log', 'info', 'debug', 'warn', 'error', 'trace']) console[m] = (...a) => log.write(`${new Date().toISOString()} ${a.map(String).join(' ').slice(0, 2000)}\n`);
const emit = (event, fields) => process.stdout.write(J({ event, at: Date.now(), ...fields }) + '\n');

// matrix-js-sdk 43 asks for Node 22; these two are all that 20 lacks.
Promise.withResolvers ??= () => { let resolve, reject; const promise = new Promise((a, b) => { resolve = a; reject = b; }); return { promise, resolve, reject }; };
globalThis.CustomEvent ??= class extends Event {};
await import('fake-indexeddb/auto');
const sdk = await import('matrix-js-sdk');
const { chromium } = await import('playwright-core');
const inpage = await import('./inpage.js');

const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
async function until(what, look, ms = 30000) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(50)) { const v = await look(); if (v) return v; }
  throw new Error(`${what}: not within ${ms / 1000} s`);
}

let client, me, call;
const seen = new Map();                 // event id -> what room_events answers
const keys = { in: [], out: [] };       // media keys, as they came and went
let withhold = false; const held = [];  // keys not yet given to the widget

// --- the Matrix side ---

const known = (e) => ({
  room: e.getRoomId(), id: e.getId(), sender: e.getSender(), ts: e.getTs(), type: e.getType(), wire_type: e.getWireType(),
  state_key: e.isState() ? e.getStateKey() : undefined, content: e.getOriginalContent(), redacted: e.isRedacted(),
  undecryptable: e.isDecryptionFailure() || undefined,
});
const take = (e) => {
  if (!e.getId() || e.isSending() || (e.isEncrypted() && !e.getClearContent() && !e.isRedacted() && !e.isDecryptionFailure())) return;
  const fresh = !seen.has(e.getId()), was = seen.get(e.getId()), now = known(e);
  seen.set(e.getId(), now);
  if (fresh || was.undecryptable !== now.undecryptable || was.redacted !== now.redacted) emit('room_event', now);
};
const raw = (e) => ({ ...e.getEffectiveEvent(), room_id: e.getRoomId() });
const state = (room) => client.getRoom(room)?.getLiveTimeline().getState('f');
const room = (id) => until(`room ${id}`, () => client.getRoom(id));

async function register({ secret, user, password }) {
  const url = opt.homeserver + '/_synapse/admin/v1/register', { nonce } = await (await fetch(url)).json();
  const mac = crypto.createHmac('sha1', secret).update([nonce, user, password, 'notadmin'].join('\0')).digest('hex');
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: J({ nonce, username: user, password, admin: false, mac }) });
  if (!answer.ok) throw new Error(`register: ${answer.status} ${await answer.text()}`);
  return answer.json();
}
async function start(session, displayName) {
  me = { user: session.user_id, device: session.device_id };
  client = sdk.createClient({ baseUrl: opt.homeserver, userId: me.user, deviceId: me.device, accessToken: session.access_token });
  await client.initRustCrypto({ useIndexedDB: false });
  await client.getCrypto().bootstrapCrossSigning({ authUploadDeviceSigningKeys: async (upload) => { await upload(null); } });
  client.on('Room.timeline', (e) => { take(e); });
  client.on('Event.decrypted', take);
  client.on('Event.replaced', take);
  client.on('Room.redaction', (redaction, r) => { const e = r.findEventById(redaction.getAssociatedId()); if (e) take(e); });
  client.on('RoomMember.membership', (_e, m) => { if (m.userId === me.user) emit('my_membership', { room: m.roomId, membership: m.membership }); });
  client.on('receivedToDeviceMessage', ({ message, encryptionInfo }) => {
    if (message.type !== 'io.element.call.encryption_keys') { feed('feedToDevice', message, !!encryptionInfo); return; }
    const k = { at: Date.now(), from: message.sender, device: message.content.member?.claimed_device_id, sender_device: encryptionInfo?.senderDevice, index: message.content.keys?.index, key: message.content.keys?.key, room: message.content.room_id, olm: !!encryptionInfo };
    keys.in.push(k);
    emit('key_in', { from: k.from, device: k.device, index: k.index, olm: k.olm, withheld: withhold });
    if (withhold) held.push([message, !!encryptionInfo]); else feed('feedToDevice', message, !!encryptionInfo);
  });
  await client.startClient({ initialSyncLimit: 200 });
  await until('first sync', () => client.isInitialSyncComplete());
  if (displayName) await client.setDisplayName(displayName);
  return { ...me, access_token: session.access_token };
}

// --- the call's side: Element Call in a browser ---

const feed = (method, ...args) => { call?.page.evaluate(([m, a]) => window.api?.[m](...a), [method, args]).catch(() => {}); };
const mime = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.wasm': 'application/wasm', '.svg': 'image/svg+xml' };
const pages = () => new Promise((up) => {
  const server = http.createServer((q, r) => {
    const p = decodeURIComponent(new URL(q.url, 'http://x').pathname);
    if (p === '/host.html') { r.setHeader('content-type', 'text/html'); return r.end('<!doctype html><body><script src="/hostbundle.js"></script>'); }
    const file = p === '/hostbundle.js' ? path.join(HERE, 'hostbundle.js') : p.startsWith('/ec/') && !p.includes('..') ? path.join(ELEMENT_CALL, p.slice(4) || 'index.html') : '';
    if (!file || !fs.existsSync(file) || !fs.statSync(file).isFile()) { r.statusCode = 404; return r.end(); }
    r.setHeader('content-type', mime[path.extname(file)] ?? 'application/octet-stream');
    r.end(fs.readFileSync(file));
  }).listen(0, '127.0.0.1', () => up(server));
});

function wav(file, pcm, rate, channels = 1) {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0); head.writeUInt32LE(36 + pcm.length, 4); head.write('WAVEfmt ', 8); head.writeUInt32LE(16, 16); head.writeUInt16LE(1, 20); head.writeUInt16LE(channels, 22);
  head.writeUInt32LE(rate, 24); head.writeUInt32LE(rate * channels * 2, 28); head.writeUInt16LE(channels * 2, 32); head.writeUInt16LE(16, 34); head.write('data', 36); head.writeUInt32LE(pcm.length, 40);
  fs.writeFileSync(file, Buffer.concat([head, pcm]));
  return file;
}
// Ten seconds of a tone of whole periods, which Chromium loops without a click. Amplitude of full scale: 9000/32768.
function tone(hz) {
  const rate = 48000, pcm = Buffer.alloc(rate * 10 * 2);
  for (let i = 0; i < rate * 10; i++) pcm.writeInt16LE(Math.round(9000 * Math.sin(2 * Math.PI * Math.round(hz * 10) / 10 * i / rate)), i * 2);
  return wav(path.join(DIR, `${opt.name}.tone.wav`), pcm, rate);
}

async function joinCall({ room: id, intent = 'join_existing_voice', tone: hz, file, loop = true, played = false, width = 1100, height = 700 }) {
  if (call) throw new Error('already in a call');
  await room(id);
  const host = {
    widget: (what) => { emit('widget', { what }); if (what === 'io.element.join' && call) call.joined = true; },
    sendEvent: async (type, content, stateKey) => {
      const r = stateKey !== null ? await client.sendStateEvent(id, type, content, stateKey) : await client.sendEvent(id, type, content);
      return { roomId: id, eventId: r.event_id };
    },
    sendDelayedEvent: async (delay, type, content, stateKey) => {
      const r = await client._unstable_sendDelayedStateEvent(id, { delay }, type, content, stateKey);
      return { roomId: id, delayId: r.delay_id };
    },
    delayed: (delayId, action) => client[{ cancel: '_unstable_cancelScheduledDelayedEvent', restart: '_unstable_restartScheduledDelayedEvent', send: '_unstable_sendScheduledDelayedEvent' }[action]](delayId),
    sendToDevice: async (type, _encrypted, map) => {
      for (const [user, devices] of Object.entries(map)) for (const [device, content] of Object.entries(devices)) {
        if (type === 'io.element.call.encryption_keys') keys.out.push({ at: Date.now(), to: user, device, index: content.keys.index, key: content.keys.key });
      }
      // Recipients with the same content share one batch: the map carries one content per device, and they are equal for keys.
      const to = Object.entries(map).flatMap(([user, devices]) => Object.keys(devices).map((device) => ({ userId: user, deviceId: device })));
      const content = Object.values(Object.values(map)[0])[0];
      await client.queueToDevice(await client.getCrypto().encryptToDeviceMessages(type, to, content));
      if (type === 'io.element.call.encryption_keys') emit('key_out', { index: content.keys.index, to: to.map((x) => `${x.userId}:${x.deviceId}`) });
    },
    readState: (type, stateKey) => (stateKey === null ? state(id).getStateEvents(type) : [state(id).getStateEvents(type, stateKey)].filter(Boolean)).map(raw),
    openid: () => client.getOpenIdToken(),
    transports: async () => ({ rtc_transports: (await client.http.authedRequest('GET', '/rtc/transports', {}, undefined, { prefix: '/_matrix/client/unstable/org.matrix.msc4143' })).rtc_transports }),
  };
  const server = await pages(), origin = `http://127.0.0.1:${server.address().port}`;
  const mic = hz ? tone(hz) : file ? path.resolve(file) : wav(path.join(DIR, `${opt.name}.silence.wav`), Buffer.alloc(96000), 48000);
  const browser = await chromium.launch({ executablePath: opt.chromium, headless: true, args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync', '--disable-component-update',
    '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', `--use-file-for-fake-audio-capture=${mic}${loop ? '' : '%noloop'}`, '--autoplay-policy=no-user-gesture-required', '--disable-background-networking'] });
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: 'dark' });
  await context.grantPermissions(['microphone', 'camera'], { origin });
  await context.addInitScript(inpage.hook, played ? 'played' : 'device');
  const page = await context.newPage();
  call = { room: id, browser, page, server, joined: false };
  page.on('console', (m) => browserLog.write(`${new Date().toISOString()} ${m.text().slice(0, 800)}\n`));
  browser.on('disconnected', () => { if (call?.browser === browser) { call = undefined; emit('browser_gone', {}); } });
  await page.exposeFunction('hostCall', async (text) => {
    const [method, ...args] = JSON.parse(text);
    try { return J({ ok: await host[method](...args) ?? null }); } catch (e) { console.log('host error', method, e.message); return J({ error: { message: e.message } }); }
  });
  await page.goto(origin + '/host.html');
  const mine = (e) => e.getRoomId() === id;
  call.listeners = [['RoomState.events', (e) => { if (mine(e)) feed('feedStateUpdate', raw(e)); }], ['Room.timeline', (e) => { if (mine(e) && !e.isEncrypted()) feed('feedEvent', raw(e)); }], ['Event.decrypted', (e) => { if (mine(e)) feed('feedEvent', raw(e)); }]];
  for (const [name, listener] of call.listeners) client.on(name, listener);
  const url = `${origin}/ec/index.html#?` + new URLSearchParams({ widgetId: 'ec', parentUrl: origin + '/', userId: me.user, deviceId: me.device, roomId: id, baseUrl: opt.homeserver, intent, skipLobby: 'true', perParticipantE2EE: 'true', lang: 'en' });
  await page.evaluate(([u, user, r]) => window.startWidget(u, user, r), [url, me.user, id]);
  call.frame = await until('Element Call\'s frame', () => page.frames().find((f) => f.url().includes('/ec/')));
  await until('Element Call to join', () => call?.joined, 45000);
  return { user: me.user, device: me.device, joined_at: Date.now() };
}
async function leaveCall({ rudely = false } = {}) {
  if (!call) return { left: false };
  const { page, browser, server, listeners, room: id } = call;
  const gone = () => !members(id).some((m) => m.sender === me.user && m.device_id === me.device);
  if (!rudely) {
    await page.evaluate(() => window.hangUp()).catch((e) => console.log('hang up', e.message));
    await until('my membership to go', gone, 15000);
  }
  for (const [name, listener] of listeners ?? []) client.off(name, listener);
  call = undefined;
  await browser.close().catch(() => {});
  server.close(); server.closeAllConnections();
  return { left: true };
}
const members = (id) => (state(id)?.getStateEvents('org.matrix.msc3401.call.member') ?? [])
  .map((e) => ({ sender: e.getSender(), state_key: e.getStateKey(), ts: e.getTs(), ...e.getContent() }))
  .filter((m) => m.device_id && (m.created_ts ?? m.ts) + (m.expires ?? 14400000) > Date.now());
const frame = () => { if (!call) throw new Error('not in a call'); return call.frame; };
const relate = (thread) => thread ? { 'm.relates_to': { rel_type: 'm.thread', event_id: thread, is_falling_back: true, 'm.in_reply_to': { event_id: thread } } } : {};

// --- commands ---

const commands = {
  register: async ({ user, password = 'correct horse', secret, display_name }) => start(await register({ secret, user, password }), display_name),
  login: async ({ user_id, device_id, access_token, display_name }) => start({ user_id, device_id, access_token }, display_name),
  create_room: async ({ name, invite = [], encrypted = true, direct = false, call_member_level = 0, levels = {} }) => {
    const initial_state = encrypted ? [{ type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } }] : [];
    const events = call_member_level === null ? {} : { 'org.matrix.msc3401.call.member': call_member_level };
    const { room_id } = await client.createRoom({ name, preset: 'private_chat', is_direct: direct, invite, initial_state, power_level_content_override: { events, ...levels } });
    await room(room_id);
    return { room: room_id };
  },
  invite: async ({ room: id, user }) => client.invite(id, user),
  join: async ({ room: id }) => { await client.joinRoom(id); await room(id); return {}; },
  leave_room: async ({ room: id }) => client.leave(id),
  send_message: async ({ room: id, text, thread, mentions }) => {
    const r = await client.sendEvent(id, 'm.room.message', { msgtype: 'm.text', body: text, ...(mentions ? { 'm.mentions': { user_ids: mentions } } : {}), ...relate(thread) });
    return { event_id: r.event_id };
  },
  send_state: async ({ room: id, type, key = '', content }) => client.sendStateEvent(id, type, content, key),
  react: async ({ room: id, event_id, key }) => {
    const r = await client.sendEvent(id, 'm.reaction', { 'm.relates_to': { rel_type: 'm.annotation', event_id, key } });
    return { event_id: r.event_id };
  },
  redact: async ({ room: id, event_id }) => client.redactEvent(id, event_id),
  member_of: async ({ room: id, user }) => ({ membership: client.getRoom(id)?.getMember(user)?.membership ?? null, name: client.getRoom(id)?.getMember(user)?.name ?? null }),
  room_state: async ({ room: id, type }) => (state(id)?.getStateEvents(type) ?? []).map((e) => ({ state_key: e.getStateKey(), sender: e.getSender(), content: e.getContent() })),
  room_events: async ({ room: id }) => [...seen.values()].filter((e) => !id || e.room === id),
  call_members: async ({ room: id }) => members(id),
  openid: async () => client.getOpenIdToken(),
  join_call: joinCall,
  leave_call: leaveCall,
  // Into the microphone (join_call with "played": true), from now on.
  play: async ({ file, loop = false }) => await until('Element Call to open the microphone', () => frame().evaluate(() => !!window.__mic), 20000) && frame().evaluate(([b, l]) => window.__mic.play(b, l), [fs.readFileSync(file).toString('base64'), loop]),
  stop_playing: async () => frame().evaluate(() => window.__mic.stop()),
  hear: async ({ ms = 3000 }) => frame().evaluate(inpage.hear, ms),
  record_start: async () => ({ tracks: await frame().evaluate(inpage.recordStart) }),
  record_stop: async ({ file }) => {
    const { pcm, tracks } = await frame().evaluate(inpage.recordStop), bytes = Buffer.from(pcm, 'base64');
    wav(file, bytes, 48000);
    return { file, tracks, seconds: bytes.length / 96000 };
  },
  // What WebRTC calls the level of the microphone: mean square of the peaks of 10 ms, over `ms`, in dB of full scale.
  mic_level: async ({ ms = 1000 }) => {
    const a = (await frame().evaluate(inpage.stats)).mic[0]; await sleep(ms); const b = (await frame().evaluate(inpage.stats)).mic[0];
    return { peaks_db: 10 * Math.log10((b.energy - a.energy) / Math.max(b.duration - a.duration, 1e-6) + 1e-12) };
  },
  stats: async () => frame().evaluate(inpage.stats),
  participants: async () => frame().evaluate(inpage.participants),
  wait_name: async ({ name, ms = 20000 }) => { await until(`a tile named ${name}`, async () => (await frame().evaluate(inpage.participants)).text.includes(name), ms); return {}; },
  wait_audio: async ({ ms = 20000, at_least = 1 }) => {
    await until('decoded audio', async () => (await frame().evaluate(inpage.stats)).in.filter((x) => x.samples > 0 && x.energy > 0).length >= at_least, ms);
    return { at: Date.now() };
  },
  screenshot: async ({ file }) => { await call.page.mouse.move(400, 300); await sleep(300); await call.page.screenshot({ path: file }); return { file }; },
  keys_seen: async () => keys,
  withhold: async ({ on }) => { withhold = on; if (!on) for (const [m, e] of held.splice(0)) feed('feedToDevice', m, e); return {}; },
  quit: async () => { await leaveCall({ rudely: true }); setTimeout(() => process.exit(0), 50); return {}; },
};

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', async (line) => {
  let id;
  try {
    const { id: n, cmd, ...args } = JSON.parse(line);
    id = n;
    if (!commands[cmd]) throw new Error(`no command ${cmd}`);
    process.stdout.write(J({ id, ok: await commands[cmd](args) ?? null }) + '\n');
  } catch (e) {
    console.log('command failed', line.slice(0, 200), e.stack);
    process.stdout.write(J({ id, error: e.message }) + '\n');
  }
});
// The test that started us has gone: go too, with the browser.
lines.on('close', async () => { await call?.browser.close().catch(() => {}); process.exit(0); });
process.on('uncaughtException', (e) => console.log('uncaught', e.stack));
process.on('unhandledRejection', (e) => console.log('unhandled', e?.stack ?? e));
emit('ready', { node: process.version });
