-- Schema 3. Stored bytes that were found damaged: they do not match their checksums, are too few, or are not there.
CREATE TABLE damage (
    place   BLOB    PRIMARY KEY,            -- bodies.id or blobs.id
    bucket  INTEGER NOT NULL,               -- of one that has these bytes, as are the following
    key     BLOB    NOT NULL,
    owner   BLOB    NOT NULL,               -- versions.id or uploads.id
    version TEXT    NOT NULL,               -- as clients see it; '' for a part of an upload
    part    INTEGER NOT NULL,               -- its number; 0 where there are no parts
    found   INTEGER NOT NULL,
    seen    INTEGER NOT NULL,               -- when it was looked at last
    reason  TEXT    NOT NULL
) WITHOUT ROWID;

CREATE TABLE scrub (                        -- one row: how far the scrub is
    id       INTEGER PRIMARY KEY,
    began    INTEGER NOT NULL,              -- when its round did
    progress TEXT                           -- NULL when it is over
);
