"""A softphone (pjsua2) driven by JSON lines: {"id":1,"cmd":"ring","uri":"sip:+15550100@127.0.0.1:5060"} on stdin;
answers {"id":1,"ok":…} or {"id":1,"error":"…"} and events {"event":"state",…} on stdout. pjsua.py --dir DIR --codecs PCMU,PCMA"""
import argparse, json, os, queue, sys, threading, time

import pjsua2 as pj

args = argparse.ArgumentParser()
args.add_argument("--dir", required=True)
args.add_argument("--name", default="phone")
args.add_argument("--user", default="+442079460123")
args.add_argument("--display", default="Ada Lovelace")
args.add_argument("--codecs", default="PCMU,PCMA")
args = args.parse_args()
os.makedirs(args.dir, exist_ok=True)
out = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # what the C library prints must not come between the lines


def emit(**fields):
    out.write(json.dumps(fields) + "\n")


def event(name, **fields):
    emit(event=name, at=int(time.time() * 1000), **fields)


commands = queue.Queue()


def read():
    for line in sys.stdin:
        commands.put(line)
    commands.put(None)


threading.Thread(target=read, daemon=True).start()

endpoint = pj.Endpoint()
endpoint.libCreate()
config = pj.EpConfig()
config.uaConfig.threadCnt = 0  # all callbacks on this thread, from libHandleEvents
config.uaConfig.mainThreadOnly = False
config.uaConfig.userAgent = "roomtone-scenario-pjsua2"
config.logConfig.level = 4
config.logConfig.consoleLevel = 0
config.logConfig.filename = os.path.join(args.dir, f"{args.name}.pjsua.txt")
config.medConfig.clockRate = 8000  # a phone: nothing is resampled on the way to G.711
config.medConfig.sndClockRate = 8000
config.medConfig.ecTailLen = 0
config.medConfig.noVad = True  # silence is sent too, as a deskphone does
endpoint.libInit(config)
transport = pj.TransportConfig()
transport.port = 0
transport.boundAddress = "127.0.0.1"
endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
endpoint.libStart()
endpoint.audDevManager().setNullDev()
wanted = args.codecs.split(",")
for codec in endpoint.codecEnum2():
    name = codec.codecId.split("/")[0]
    endpoint.codecSetPriority(codec.codecId, 255 - wanted.index(name) if name in wanted else 0)

account_config = pj.AccountConfig()
account_config.idUri = f'"{args.display}" <sip:{args.user}@127.0.0.1>'
account_config.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
account_config.mediaConfig.transportConfig.port = 0
account = pj.Account()
account.create(account_config)


class Call(pj.Call):
    def __init__(self):
        super().__init__(account)
        self.media = None
        self.player = None
        self.recorder = None
        self.wanted_play = None
        self.wanted_record = None

    def onCallState(self, prm):
        info = self.getInfo()
        event("state", state=info.stateText, code=info.lastStatusCode, reason=info.lastReason, call_id=info.callIdString)

    def onCallMediaState(self, prm):
        info = self.getInfo()  # must outlive the loop: its media are references into it
        for i, m in enumerate(info.media):
            if m.type == pj.PJMEDIA_TYPE_AUDIO and m.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                self.media = self.getAudioMedia(i)
                stream = self.getStreamInfo(i)
                event("media", codec=stream.codecName, rate=stream.codecClockRate, remote=stream.remoteRtpAddress)
                self.connect()

    def connect(self):
        if self.media is None:
            return
        if self.wanted_play:
            file, loop = self.wanted_play
            self.wanted_play = None
            self.stop_playing()
            self.player = pj.AudioMediaPlayer()
            self.player.createPlayer(file, 0 if loop else pj.PJMEDIA_FILE_NO_LOOP)
            self.player.startTransmit(self.media)
            event("playing", file=file)
        if self.wanted_record:
            self.recorder = pj.AudioMediaRecorder()
            self.recorder.createRecorder(self.wanted_record)
            self.media.startTransmit(self.recorder)
            self.wanted_record = None

    def stop_playing(self):
        if self.player is not None:
            self.player.stopTransmit(self.media)
            self.player = None

    def stop_recording(self):
        if self.recorder is not None:
            self.media.stopTransmit(self.recorder)
            self.recorder = None  # the file's header is written when the object goes


call = None


def rtcp(stream):
    s = stream.rtcp
    return {
        "received": s.rxStat.pkt, "lost": s.rxStat.loss, "discarded": s.rxStat.discard, "reordered": s.rxStat.reorder, "dup": s.rxStat.dup,
        "jitter_ms": s.rxStat.jitterUsec.mean / 1000, "sent": s.txStat.pkt, "sent_lost": s.txStat.loss, "rtt_ms": s.rttUsec.mean / 1000,
        "jb_lost": stream.jbuf.lost, "jb_empty": stream.jbuf.empty, "jb_discard": stream.jbuf.discard, "jb_delay_ms": stream.jbuf.avgDelayMsec,
    }


def ring(uri, play=None, loop=False, record=None):
    global call
    call = Call()
    call.wanted_play = (play, loop) if play else None
    call.wanted_record = record
    call.makeCall(uri, pj.CallOpParam(True))
    return {"call_id": call.getInfo().callIdString}


def play(file, loop=False):
    call.wanted_play = (file, loop)
    call.connect()
    return {"at": int(time.time() * 1000)}


def record(file):
    call.wanted_record = file
    call.connect()
    return {}


def press(digits):
    call.dialDtmf(digits)  # RFC 4733
    return {}


def hang_up():
    if call is None or not call.isActive():
        return {"was_active": False}
    result = stats()
    call.stop_playing()
    call.stop_recording()
    for _ in range(15):  # the mixer lets go of the recorder on its own clock; only then the file is whole
        endpoint.libHandleEvents(10)
    call.hangup(pj.CallOpParam())
    return {"was_active": True, "stats": result}


def stats():
    return rtcp(call.getStreamStat(0)) if call is not None and call.media is not None else {}


def port():
    return endpoint.transportGetInfo(0).localName


handlers = {
    "ring": ring, "play": play, "record": record, "press": press, "hang_up": hang_up, "stats": stats, "port": port,
    "stop_playing": lambda: call.stop_playing() or {}, "stop_recording": lambda: call.stop_recording() or {},
}
event("ready", codecs=[c.codecId for c in endpoint.codecEnum2() if c.priority])
running = True
while running:
    endpoint.libHandleEvents(10)
    while True:
        try:
            line = commands.get_nowait()
        except queue.Empty:
            break
        if line is None:
            running = False
            break
        request = json.loads(line)
        number = request.pop("id")
        command = request.pop("cmd")
        try:
            emit(id=number, ok=handlers[command](**request))
        except Exception as error:  # a pj.Error says more in info()
            emit(id=number, error=error.info() if isinstance(error, pj.Error) else repr(error))
        if command == "quit":
            running = False
if call is not None and call.isActive():
    try:
        hang_up()
    except pj.Error:
        pass
    for _ in range(20):
        endpoint.libHandleEvents(10)
call = None
out.flush()
os._exit(0)  # libDestroy hangs when a transport is busy; all files are written
