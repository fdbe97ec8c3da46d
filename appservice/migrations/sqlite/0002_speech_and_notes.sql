-- Voices, languages, mended notes, to-do lists, room settings. Older programs refuse a database that has this.

-- What is known of an utterance beside its words: voice, language, recogniser, when each word was said. Sealed.
ALTER TABLE utterances ADD COLUMN details BLOB;

-- What people call the several voices of one line in one call. Of the voices themselves nothing is kept. The name is sealed.
CREATE TABLE voices (
    call_id BLOB NOT NULL REFERENCES calls (call_id) ON DELETE CASCADE,
    party   BLOB NOT NULL,
    voice   INTEGER NOT NULL,
    name    BLOB NOT NULL,
    PRIMARY KEY (call_id, party, voice)
) STRICT, WITHOUT ROWID;

-- Counts what was taken back or corrected in a call: notes that were made of what stood before are not stored.
ALTER TABLE calls ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

-- What people mended in the notes of a call; laid over them whenever they are made again. Sealed.
ALTER TABLE calls ADD COLUMN fixes BLOB;

-- Calls whose notes are still to be made (again), and what of the last ones may stay. Sealed. A crash forgets none.
CREATE TABLE notes_due (
    call_id  BLOB PRIMARY KEY NOT NULL REFERENCES calls (call_id) ON DELETE CASCADE,
    kept     BLOB,
    since_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a room has set that is nobody else's business: glossary, languages of parties, lines with several people. Sealed.
ALTER TABLE rooms ADD COLUMN settings BLOB;
-- The last number given in the room's to-do list: none is given twice.
ALTER TABLE rooms ADD COLUMN last_todo INTEGER NOT NULL DEFAULT 0;

-- A room's to-do list: the actions of its calls' notes. What, who and by whom is sealed with the call's key.
CREATE TABLE todos (
    room_id     TEXT NOT NULL REFERENCES rooms (room_id),
    number      INTEGER NOT NULL,
    call_id     BLOB NOT NULL REFERENCES calls (call_id) ON DELETE CASCADE,
    item        INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('open', 'done', 'dropped')),
    body        BLOB NOT NULL,
    remind_ms   INTEGER,
    reminded_ms INTEGER,
    PRIMARY KEY (room_id, number),
    UNIQUE (call_id, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX todos_to_remind ON todos (remind_ms) WHERE state = 'open' AND remind_ms IS NOT NULL AND reminded_ms IS NULL;

-- Messages that show to-dos, so that a reaction on them ticks: the numbers in the order shown, separated by spaces.
CREATE TABLE todo_lists (
    effect_id BLOB PRIMARY KEY NOT NULL CHECK (length(effect_id) = 16),
    event_id  TEXT,
    room_id   TEXT NOT NULL,
    numbers   TEXT NOT NULL,
    at_ms     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX todo_lists_by_event ON todo_lists (event_id) WHERE event_id IS NOT NULL;

-- Reactions that ticked, so that taking one off opens what it ticked.
CREATE TABLE todo_ticks (
    event_id TEXT NOT NULL,
    room_id  TEXT NOT NULL,
    number   INTEGER NOT NULL,
    PRIMARY KEY (event_id, number)
) STRICT, WITHOUT ROWID;
