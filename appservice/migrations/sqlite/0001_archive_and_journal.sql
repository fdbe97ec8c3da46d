-- Archive and journal. What people say, are called or dial is sealed (src/archive/seal.rs); ids, times and states are clear.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- A key per room, under the operator's key.
CREATE TABLE rooms (
    room_id    TEXT PRIMARY KEY NOT NULL,
    room_key   BLOB NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A key per call, under the room's key. Without it every other row of the call is noise.
CREATE TABLE calls (
    call_id     BLOB PRIMARY KEY NOT NULL CHECK (length(call_id) = 16),
    room_id     TEXT NOT NULL REFERENCES rooms (room_id),
    call_key    BLOB NOT NULL,
    started_ms  INTEGER NOT NULL,
    ended_ms    INTEGER,
    state       TEXT NOT NULL CHECK (state IN ('open', 'ended', 'interrupted')),
    card_effect BLOB,
    card_event  TEXT,
    facts       BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_by_room ON calls (room_id, started_ms);
CREATE INDEX calls_open ON calls (started_ms) WHERE state = 'open';
CREATE INDEX calls_by_card_effect ON calls (card_effect) WHERE card_effect IS NOT NULL;

-- party is a keyed hash of the Matrix user id (a ghost's holds a number), the key is the call's.
CREATE TABLE parties (
    call_id   BLOB NOT NULL REFERENCES calls (call_id) ON DELETE CASCADE,
    party     BLOB NOT NULL CHECK (length(party) = 16),
    details   BLOB NOT NULL,
    joined_ms INTEGER NOT NULL,
    left_ms   INTEGER,
    PRIMARY KEY (call_id, party)
) STRICT, WITHOUT ROWID;

-- What a party agreed to and took back, in order; the last row holds.
CREATE TABLE grants (
    grant_no INTEGER PRIMARY KEY AUTOINCREMENT,
    call_id  BLOB NOT NULL REFERENCES calls (call_id) ON DELETE CASCADE,
    party    BLOB NOT NULL,
    at_ms    INTEGER NOT NULL,
    granted  INTEGER NOT NULL CHECK (granted IN (0, 1)),
    how      TEXT NOT NULL
) STRICT;
CREATE INDEX grants_by_party ON grants (call_id, party);

CREATE TABLE utterances (
    utterance      INTEGER PRIMARY KEY AUTOINCREMENT,
    call_id        BLOB NOT NULL REFERENCES calls (call_id) ON DELETE CASCADE,
    party          BLOB NOT NULL,
    start_ms       INTEGER NOT NULL,
    end_ms         INTEGER NOT NULL,
    said           BLOB NOT NULL,
    caption_effect BLOB,
    caption_event  TEXT
) STRICT;
CREATE INDEX utterances_by_call ON utterances (call_id, party);
CREATE INDEX utterances_by_caption_effect ON utterances (caption_effect) WHERE caption_effect IS NOT NULL;

CREATE TABLE notes (
    call_id      BLOB PRIMARY KEY NOT NULL REFERENCES calls (call_id) ON DELETE CASCADE,
    body         BLOB NOT NULL,
    written_ms   INTEGER NOT NULL,
    notes_effect BLOB,
    notes_event  TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX notes_by_effect ON notes (notes_effect) WHERE notes_effect IS NOT NULL;

-- The blind index: the keyed hash of a word (the key is the room's) and where it was said. utterance -1: in the notes.
CREATE TABLE words (
    token     BLOB NOT NULL CHECK (length(token) = 16),
    call_id   BLOB NOT NULL REFERENCES calls (call_id) ON DELETE CASCADE,
    utterance INTEGER NOT NULL,
    PRIMARY KEY (token, call_id, utterance)
) STRICT, WITHOUT ROWID;
CREATE INDEX words_by_place ON words (call_id, utterance);

-- Numbers that ring a room. The number is a keyed hash to look up, and sealed to show.
CREATE TABLE number_links (
    number_hash BLOB PRIMARY KEY NOT NULL CHECK (length(number_hash) = 16),
    room_id     TEXT NOT NULL,
    details     BLOB NOT NULL,
    at_ms       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX number_links_by_room ON number_links (room_id);

-- The journal: what is to change the world outside, written before it does. Order is seq, within a lane.
CREATE TABLE effects (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    effect_id BLOB NOT NULL UNIQUE CHECK (length(effect_id) = 16),
    call_id   BLOB REFERENCES calls (call_id) ON DELETE CASCADE,
    lane      TEXT NOT NULL,
    kind      TEXT NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('ready', 'sent', 'done', 'wedged', 'unknown', 'superseded')),
    slot      BLOB,
    party     BLOB,
    body      BLOB,
    event_id  TEXT,
    attempts  INTEGER NOT NULL DEFAULT 0,
    unsure    INTEGER NOT NULL DEFAULT 0,
    reason    TEXT,
    made_ms   INTEGER NOT NULL,
    turned_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX effects_unfinished ON effects (lane, seq) WHERE state IN ('ready', 'sent', 'unknown');
CREATE INDEX effects_by_slot ON effects (slot) WHERE slot IS NOT NULL AND state = 'ready';
CREATE INDEX effects_by_call ON effects (call_id) WHERE call_id IS NOT NULL;

-- Matrix events that were taken in hand, so that a transaction that comes twice acts once.
CREATE TABLE handled (
    event_id TEXT PRIMARY KEY NOT NULL,
    at_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX handled_by_time ON handled (at_ms);
