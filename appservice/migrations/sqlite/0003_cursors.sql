-- How far something outside was read: what came in by the payments module, say.
CREATE TABLE cursors (
    name TEXT PRIMARY KEY NOT NULL,
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_by_room_and_end ON calls (room_id, ended_ms) WHERE ended_ms IS NOT NULL;
