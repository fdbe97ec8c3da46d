"""LiveKit's own client with a valid token for a call's SFU room, that subscribes to everybody: with no media keys, with those
that it is given, or without any frame encryption at all. JSON lines in and out like the other peers.
eavesdropper.py --url WS --key K --secret S --room NAME --identity ID --mode keyed|plain"""
import argparse, asyncio, base64, json, sys, time, wave

import numpy as np
from livekit import api, rtc
from livekit.rtc._proto import e2ee_pb2

args = argparse.ArgumentParser()
for name in ("url", "key", "secret", "room", "identity"):
    args.add_argument(f"--{name}", required=True)
args.add_argument("--token", help="a token from the call's own authorisation service, instead of one made here")
args.add_argument("--mode", choices=("keyed", "plain"), default="keyed")
args = args.parse_args()


def emit(**fields):
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def event(name, **fields):
    emit(event=name, at=int(time.time() * 1000), **fields)


heard = {}  # identity -> list of int16 blocks, 48 kHz mono
marks = {}  # identity -> samples before the last "mark"


async def main():
    token = args.token or api.AccessToken(args.key, args.secret).with_identity(args.identity).with_grants(
        api.VideoGrants(room_join=True, room=args.room, can_publish=False, can_subscribe=True, hidden=False)).to_jwt()
    options = rtc.RoomOptions()
    if args.mode == "keyed":
        # The derivation of Element Call: HKDF, no ratchet, a ring of 256 keys.
        keys = rtc.KeyProviderOptions(shared_key=None, ratchet_window_size=0, failure_tolerance=-1, key_ring_size=256,
                                      key_derivation_function=e2ee_pb2.KeyDerivationFunction.HKDF)
        options = rtc.RoomOptions(encryption=rtc.E2EEOptions(key_provider_options=keys))
    room = rtc.Room()

    @room.on("track_subscribed")
    def subscribed(track, publication, participant):
        event("subscribed", identity=participant.identity, kind=int(track.kind))
        if track.kind != rtc.TrackKind.KIND_AUDIO:
            return

        async def listen():
            async for e in rtc.AudioStream(track, sample_rate=48000, num_channels=1):
                heard.setdefault(participant.identity, []).append(np.frombuffer(e.frame.data, dtype=np.int16).copy())

        asyncio.ensure_future(listen())

    @room.on("participant_connected")
    def connected(participant):
        event("participant", identity=participant.identity)

    @room.on("e2ee_state_changed")
    def state(participant, state):
        event("e2ee", identity=participant.identity, state=int(state))

    await room.connect(args.url, token, options)
    event("ready", participants=[p.identity for p in room.remote_participants.values()])

    def set_key(identity, index, key):
        room.e2ee_manager.key_provider.set_key(identity, base64.b64decode(key + "=" * (-len(key) % 4)), index)
        return {}

    def mark():
        for who, blocks in heard.items():
            marks[who] = sum(len(b) for b in blocks)
        return {}

    def write(prefix):
        """Writes what was decoded since the last mark, one WAV a participant, and its level."""
        result = []
        for n, (who, blocks) in enumerate(heard.items()):
            x = np.concatenate(blocks)[marks.get(who, 0):] if blocks else np.zeros(0, np.int16)
            file = f"{prefix}-{n}.wav"
            with wave.open(file, "wb") as w:
                w.setnchannels(1)
                w.setsampwidth(2)
                w.setframerate(48000)
                w.writeframes(x.tobytes())
            rms = float(np.sqrt(np.mean((x.astype(float) / 32768) ** 2))) if len(x) else 0.0
            result.append({"identity": who, "file": file, "seconds": len(x) / 48000, "rms_db": 20 * float(np.log10(rms + 1e-9))})
        return result

    def participants():
        return [{"identity": p.identity, "tracks": [str(t.sid) for t in p.track_publications.values()]} for p in room.remote_participants.values()]

    handlers = {"set_key": set_key, "mark": mark, "write": write, "participants": participants}
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        request = json.loads(line)
        number, command = request.pop("id"), request.pop("cmd")
        if command == "quit":
            break
        try:
            emit(id=number, ok=handlers[command](**request))
        except Exception as error:
            emit(id=number, error=repr(error))
    await room.disconnect()


asyncio.run(main())
