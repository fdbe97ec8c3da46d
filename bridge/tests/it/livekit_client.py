"""LiveKit's own client (libwebrtc, PyPI livekit 1.2.0) with frame encryption, a tone and a camera: URL IDENTITY ROOM SECONDS HZ"""
import asyncio
import os
import sys

import numpy as np
from livekit import rtc, api
from livekit.rtc._proto import e2ee_pb2
url, me, room_name, secs, hz = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), float(sys.argv[5])
def key(identity):
    b = bytearray([7]*16); n = identity.split('@')[1].split(':')[0].encode()
    b[:len(n)] = n; return bytes(b)
async def main():
    tok = api.AccessToken('devkey', 'secret-secret-secret-secret-secret-0').with_identity(me).with_grants(api.VideoGrants(room_join=True, room=room_name)).to_jwt()
    room = rtc.Room(); got = {}
    kp = rtc.KeyProviderOptions(shared_key=None, ratchet_window_size=0, failure_tolerance=-1, key_ring_size=256, key_derivation_function=e2ee_pb2.KeyDerivationFunction.HKDF)
    opt = rtc.RoomOptions(encryption=rtc.E2EEOptions(key_provider_options=kp), single_peer_connection=True)
    @room.on('participant_connected')
    def pc(p): room.e2ee_manager.key_provider.set_key(p.identity, key(p.identity), 0)
    @room.on('track_subscribed')
    def ts(track, pub, part):
        if track.kind != rtc.TrackKind.KIND_AUDIO: return
        room.e2ee_manager.key_provider.set_key(part.identity, key(part.identity), 0)
        async def rd():
            async for ev in rtc.AudioStream(track, sample_rate=48000, num_channels=1): got.setdefault(part.identity, []).append(np.frombuffer(ev.frame.data, dtype=np.int16).copy())
        asyncio.ensure_future(rd())
    await room.connect(url, tok, opt)
    room.e2ee_manager.key_provider.set_key(me, key(me), 0)
    vs = rtc.VideoSource(320, 240); vt = rtc.LocalVideoTrack.create_video_track('cam', vs)
    await room.local_participant.publish_track(vt, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA))
    async def vid():
        while True:
            vs.capture_frame(rtc.VideoFrame(320, 240, rtc.VideoBufferType.RGBA, bytearray(os.urandom(320*240*4)))); await asyncio.sleep(0.1)
    asyncio.ensure_future(vid())
    src = rtc.AudioSource(48000, 1); t = rtc.LocalAudioTrack.create_audio_track('mic', src)
    await room.local_participant.publish_track(t, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, red=False))
    for i in range(int(secs * 100)):
        f = rtc.AudioFrame.create(48000, 1, 480); n = np.arange(i * 480, (i + 1) * 480)
        np.copyto(np.frombuffer(f.data, dtype=np.int16), (8231 * np.sin(2 * np.pi * hz * n / 48000)).astype(np.int16)); await src.capture_frame(f)
    for who, parts in got.items():
        x = np.concatenate(parts).astype(float) / 32768; s = x[-96000:-24000]; sp = np.abs(np.fft.rfft(s * np.hanning(len(s))))
        print(f'RESULT {me}: of {who}: level {20*np.log10(np.sqrt(2*(s**2).mean())+1e-9):.1f} dB, tone {int(sp.argmax())*48000/len(s):.0f} Hz, {len(x)/48000:.1f} s', flush=True)
    await room.disconnect()
asyncio.run(main())
