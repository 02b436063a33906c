-- Schema 1. Times are milliseconds since the epoch; keys are bytes of UTF-8; ids are 16 bytes in the order of UUIDv7.

CREATE TABLE store (            -- schema_version, store_id
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE buckets (
    id          INTEGER PRIMARY KEY,        -- 63 bits, made by the service
    tenant      TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    owner_id    TEXT    NOT NULL,
    owner_name  TEXT    NOT NULL,
    created     INTEGER NOT NULL,
    region      TEXT    NOT NULL,
    versioning  TEXT    NOT NULL DEFAULT '', -- '', Enabled, Suspended
    object_lock INTEGER NOT NULL DEFAULT 0,
    generation  INTEGER NOT NULL DEFAULT 1, -- rises with every change of the row or of a document
    subscribed  INTEGER NOT NULL DEFAULT 0, -- changes are recorded in the outbox
    UNIQUE (tenant, name)
);
CREATE INDEX buckets_by_owner ON buckets (owner_id, tenant, name);

CREATE TABLE bucket_documents (             -- tagging, policy, cors, … opaque to the index
    bucket     INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    body       BLOB    NOT NULL,
    generation INTEGER NOT NULL,            -- the bucket's generation when it was written
    PRIMARY KEY (bucket, kind)
) WITHOUT ROWID;

CREATE TABLE versions (                     -- every version and delete marker of every key
    bucket          INTEGER NOT NULL,
    key             BLOB    NOT NULL,
    seq             INTEGER NOT NULL,       -- rises per key; the highest is the latest
    id              BLOB    NOT NULL,
    is_null         INTEGER NOT NULL,       -- its version id is "null"
    delete_marker   INTEGER NOT NULL,
    created         INTEGER NOT NULL,
    size            INTEGER NOT NULL,
    etag            TEXT    NOT NULL,       -- without quotes; '' on a delete marker
    owner_id        TEXT    NOT NULL,
    owner_name      TEXT    NOT NULL,
    storage_class   TEXT    NOT NULL DEFAULT 'STANDARD',
    headers         TEXT,                   -- JSON object or NULL
    metadata        TEXT,                   -- JSON object or NULL
    tags            TEXT,                   -- JSON object or NULL
    checksum        TEXT,                   -- "ALGORITHM TYPE value" or NULL
    body            BLOB,                   -- bodies.id, when the bytes are inline
    blob            BLOB,                   -- blobs.id, when they are in the blob store
    part_count      INTEGER,                -- not NULL: the bytes are those of parts.owner = id
    coding          TEXT,
    acl             TEXT,
    retention_mode  TEXT,
    retain_until    INTEGER,
    legal_hold      INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX versions_by_key ON versions (bucket, key, seq DESC);
CREATE UNIQUE INDEX null_versions ON versions (bucket, key) WHERE is_null = 1;
CREATE INDEX versions_by_blob ON versions (blob) WHERE blob IS NOT NULL; -- the sweeper asks before it condemns

CREATE TABLE current (                      -- keys whose latest version is an object: what listings read
    bucket        INTEGER NOT NULL,
    key           BLOB    NOT NULL,
    seq           INTEGER NOT NULL,
    created       INTEGER NOT NULL,
    size          INTEGER NOT NULL,
    etag          TEXT    NOT NULL,
    owner_id      TEXT    NOT NULL,
    owner_name    TEXT    NOT NULL,
    storage_class TEXT    NOT NULL,
    checksum      TEXT,                     -- "ALGORITHM TYPE"
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;

CREATE TABLE bodies (                       -- inline bytes; each row has exactly one owner and goes with it
    id   BLOB PRIMARY KEY,
    crcs BLOB NOT NULL,                     -- CRC32C of each 1 MiB frame, big-endian
    data BLOB NOT NULL
);

CREATE TABLE blobs (                        -- what the blob store holds or is about to hold
    id          BLOB PRIMARY KEY,
    size        INTEGER,                    -- NULL while it is being written
    crcs        BLOB,
    created     INTEGER NOT NULL,
    lease_until INTEGER,                    -- not NULL: nothing refers to it; the sweeper may condemn it after this time
    condemned   INTEGER                     -- when the sweeper condemned it; no reference may be taken any more
);
CREATE INDEX unreferenced_blobs ON blobs (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX condemned_blobs ON blobs (condemned) WHERE condemned IS NOT NULL;

CREATE TABLE blob_references (
    blob   BLOB NOT NULL,
    holder BLOB NOT NULL,                   -- versions.id or parts.id
    PRIMARY KEY (blob, holder)
) WITHOUT ROWID;

CREATE TABLE uploads (
    id                 BLOB PRIMARY KEY,
    bucket             INTEGER NOT NULL,
    key                BLOB    NOT NULL,
    created            INTEGER NOT NULL,
    owner_id           TEXT    NOT NULL,
    owner_name         TEXT    NOT NULL,
    initiator_id       TEXT    NOT NULL,
    initiator_name     TEXT    NOT NULL,
    storage_class      TEXT    NOT NULL,
    headers            TEXT,
    metadata           TEXT,
    tags               TEXT,
    acl                TEXT,
    retention_mode     TEXT,
    retain_until       INTEGER,
    legal_hold         INTEGER NOT NULL DEFAULT 0,
    checksum_algorithm TEXT,
    checksum_type      TEXT
);
CREATE UNIQUE INDEX uploads_by_key ON uploads (bucket, key, id);
CREATE INDEX uploads_by_age ON uploads (created);

CREATE TABLE parts (                        -- of an upload, then of the version that has the upload's id
    owner    BLOB    NOT NULL,
    number   INTEGER NOT NULL,
    id       BLOB    NOT NULL,
    "offset" INTEGER NOT NULL DEFAULT 0,
    size     INTEGER NOT NULL,
    etag     TEXT    NOT NULL,
    checksum TEXT,
    created  INTEGER NOT NULL,
    body     BLOB,
    blob     BLOB,
    coding   TEXT,
    PRIMARY KEY (owner, number)
) WITHOUT ROWID;
CREATE INDEX parts_by_blob ON parts (blob) WHERE blob IS NOT NULL;

CREATE TABLE outbox (                       -- changes that a consumer waits for, written with the change itself
    id            BLOB PRIMARY KEY,
    bucket        INTEGER NOT NULL,
    key           BLOB    NOT NULL,
    seq           INTEGER NOT NULL,
    kind          TEXT    NOT NULL,         -- ObjectCreated:Put, ObjectRemoved:Delete, …
    created       INTEGER NOT NULL,
    detail        TEXT    NOT NULL,         -- JSON
    claimed_until INTEGER
);
