-- What must be known after a crash, written in the commits of the transfers that it belongs to: the calls that are under way
-- and what they have reserved. By name, in the order of its bytes.
CREATE TABLE notes (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
);
