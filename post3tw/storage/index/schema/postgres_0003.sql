-- Schema 3. Stored bytes that were found damaged: they do not match their checksums, are too few, or are not there.
CREATE TABLE damage (
    place   BYTEA   PRIMARY KEY,            -- bodies.id or blobs.id
    bucket  BIGINT  NOT NULL,               -- of one that has these bytes, as are the following
    key     BYTEA   NOT NULL,
    owner   BYTEA   NOT NULL,               -- versions.id or uploads.id
    version TEXT    NOT NULL,               -- as clients see it; '' for a part of an upload
    part    INTEGER NOT NULL,               -- its number; 0 where there are no parts
    found   BIGINT  NOT NULL,
    seen    BIGINT  NOT NULL,               -- when it was looked at last
    reason  TEXT    NOT NULL
);

CREATE TABLE scrub (                        -- one row: how far the scrub is
    id       INTEGER PRIMARY KEY,
    began    BIGINT  NOT NULL,              -- when its round did
    progress TEXT                           -- NULL when it is over
);
