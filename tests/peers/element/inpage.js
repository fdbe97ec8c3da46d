// What runs inside Element Call's frame. Each function is sent there by playwright, so none may use anything outside itself.

// Before any script of the page: keep the peer connections, and stand between Element Call and its microphone.
// - Echo cancellation, noise suppression and gain control are switched off. Element Call leaves Chromium's on, and they bend
//   levels and cut steady tones and pauses, so that "within 3 dB of what was sent" could not be judged. The URL parameters
//   noiseSuppression=false and echoCancellation=false did not switch them off (tried with Element Call 0.26.1).
// - With `played` the microphone is a Web Audio stream that __mic.play() feeds, so that recorded speech starts when the test
//   says so; Chromium's own fake microphone plays its file from the moment it is opened, before the call is up.
export const hook = (microphone) => {
  const Native = window.RTCPeerConnection;
  window.__pcs = [];
  window.RTCPeerConnection = class extends Native {
    constructor(...args) { super(...args); window.__pcs.push(this); }
  };
  if (!navigator.mediaDevices) return;
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    if (!wanted?.audio) return open(wanted);
    if (microphone === 'device') return open({ ...wanted, audio: { ...(wanted.audio === true ? {} : wanted.audio), ...plain } });
    const mic = window.__mic ??= (() => {
      const context = new AudioContext({ sampleRate: 48000 }), bus = context.createGain();
      const silence = context.createConstantSource(); // a track that carries nothing at all stops its packets
      silence.offset.value = 0; silence.connect(bus); silence.start();
      return {
        context, bus,
        async play(base64, loop) {
          await context.resume();
          const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
          const source = context.createBufferSource();
          source.buffer = await context.decodeAudioData(bytes.buffer);
          source.loop = !!loop; source.connect(bus); source.start();
          this.stop(); this.source = source;
          this.ended = new Promise((done) => { source.onended = done; });
          return { seconds: source.buffer.duration, at: Date.now() };
        },
        stop() { try { this.source?.stop(); } catch { /* was not playing */ } this.source = undefined; },
      };
    })();
    await mic.context.resume();
    const out = mic.context.createMediaStreamDestination();
    out.channelCount = 1;
    mic.bus.connect(out);
    const stream = new MediaStream(out.stream.getAudioTracks());
    if (wanted.video) for (const track of (await open({ video: wanted.video })).getVideoTracks()) stream.addTrack(track);
    return stream;
  };
};

// The spectrum of every media element that really plays a remote track.
export const hear = async (ms) => {
  const elements = [...document.querySelectorAll('audio,video')].filter((e) => e.srcObject?.getAudioTracks?.().length);
  const context = new AudioContext({ sampleRate: 48000 });
  await context.resume();
  const heard = elements.map((element) => {
    const node = context.createAnalyser();
    node.fftSize = 16384; node.smoothingTimeConstant = 0;
    context.createMediaStreamSource(new MediaStream(element.srcObject.getAudioTracks())).connect(node);
    return { node, element, hz: [], db: [] };
  });
  for (const end = Date.now() + ms; Date.now() < end;) {
    await new Promise((r) => setTimeout(r, 350));
    for (const x of heard) {
      const s = new Float32Array(x.node.frequencyBinCount), w = new Float32Array(x.node.fftSize);
      x.node.getFloatFrequencyData(s); x.node.getFloatTimeDomainData(w);
      let k = 1;
      for (let i = 1; i < s.length - 1; i++) if (s[i] > s[k]) k = i;
      const d = (s[k - 1] - s[k + 1]) / (2 * (s[k - 1] - 2 * s[k] + s[k + 1])); // parabola through the three top bins
      x.hz.push((k + (isFinite(d) ? d : 0)) * context.sampleRate / x.node.fftSize);
      x.db.push(10 * Math.log10(w.reduce((p, v) => p + v * v, 0) / w.length + 1e-12));
    }
  }
  await context.close();
  const middle = (v) => v.length ? +[...v].sort((a, b) => a - b)[v.length >> 1].toFixed(1) : null;
  return heard.map((x) => ({ peak_hz: middle(x.hz), rms_db: middle(x.db), windows: x.hz.length, loud: x.db.filter((d) => d > -50).length, paused: x.element.paused, muted: x.element.muted, track: x.element.srcObject.getAudioTracks()[0]?.id }));
};

// From now on everything that is played, mixed to one channel at 48 kHz. Elements that come later are taken in as they come.
export const recordStart = async () => {
  const context = new AudioContext({ sampleRate: 48000 });
  // A worklet, not a ScriptProcessor: it runs on the audio thread, so a busy page leaves no gaps of the recording's own.
  const code = `registerProcessor('tap', class extends AudioWorkletProcessor {
    constructor() { super(); this.block = new Float32Array(9600); this.n = 0; }
    process([input]) {
      const x = input[0];
      for (let i = 0; i < 128; i++) { this.block[this.n++] = x ? x[i] : 0; if (this.n === 9600) { this.port.postMessage(this.block); this.block = new Float32Array(9600); this.n = 0; } }
      return true;
    }
  });`;
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
  const tap = new AudioWorkletNode(context, 'tap', { numberOfInputs: 1, numberOfOutputs: 1, channelCount: 1, channelCountMode: 'explicit' });
  const blocks = [];
  tap.port.onmessage = (m) => blocks.push(m.data);
  tap.connect(context.destination);
  await context.resume();
  const taken = new Map(); // audio track -> source
  const look = () => {
    for (const e of document.querySelectorAll('audio,video')) for (const track of e.srcObject?.getAudioTracks?.() ?? []) if (!taken.has(track)) {
      const source = context.createMediaStreamSource(new MediaStream([track]));
      source.connect(tap); taken.set(track, source);
    }
  };
  look();
  window.__record = { context, blocks, timer: setInterval(look, 100), taken };
  return taken.size;
};
export const recordStop = async () => {
  const { context, blocks, timer, taken } = window.__record;
  clearInterval(timer);
  await new Promise((r) => setTimeout(r, 250)); // the last whole block
  await context.close();
  window.__record = undefined;
  const pcm = new Int16Array(blocks.length * 9600);
  blocks.forEach((b, n) => { for (let i = 0; i < b.length; i++) pcm[n * 9600 + i] = Math.max(-32768, Math.min(32767, Math.round(b[i] * 32767))); });
  const bytes = new Uint8Array(pcm.buffer);
  let text = '';
  for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return { pcm: btoa(text), tracks: taken.size };
};

// What WebRTC counts: levels, packets, what was concealed, the path.
export const stats = async () => {
  const found = { connections: window.__pcs.length, in: [], out: [], mic: [], pairs: [] };
  for (const pc of window.__pcs) {
    if (pc.connectionState === 'closed') continue;
    for (const s of (await pc.getStats()).values()) {
      if (s.type === 'inbound-rtp' && s.kind === 'audio') found.in.push({ track: s.trackIdentifier, mid: s.mid, packets: s.packetsReceived, lost: s.packetsLost, energy: s.totalAudioEnergy ?? 0, duration: s.totalSamplesDuration ?? 0, concealed: s.concealedSamples ?? 0, silent_concealed: s.silentConcealedSamples ?? 0, samples: s.totalSamplesReceived ?? 0, jitter_buffer_ms: s.jitterBufferEmittedCount ? 1000 * s.jitterBufferDelay / s.jitterBufferEmittedCount : null });
      if (s.type === 'outbound-rtp' && s.kind === 'audio') found.out.push({ packets: s.packetsSent, bytes: s.bytesSent });
      if (s.type === 'media-source' && s.kind === 'audio') found.mic.push({ energy: s.totalAudioEnergy, duration: s.totalSamplesDuration, level: s.audioLevel });
      if (s.type === 'candidate-pair' && s.nominated) found.pairs.push({ state: s.state, rtt_ms: Math.round(1000 * (s.currentRoundTripTime ?? 0)) });
    }
  }
  return found;
};

// The names on Element Call's tiles, as a person sees them.
export const participants = () => {
  const tiles = [...document.querySelectorAll('[data-testid="videoTile"], [data-testid="roomTile"], [class*="_tile_"]')];
  const names = tiles.map((t) => (t.querySelector('[data-testid="name_tag"]')?.innerText ?? t.getAttribute('aria-label') ?? t.innerText).trim()).filter(Boolean);
  return { names: [...new Set(names)], text: document.body.innerText.slice(0, 2000) };
};
