-- Schema 1. Times are milliseconds since the epoch; keys are bytes of UTF-8; ids are 16 bytes in the order of UUIDv7.
-- Tables, columns and indexes are those of sqlite_0001.sql, so that every transaction runs on both; what follows them is
-- PostgreSQL's own. Text that is compared by range has the order of its bytes.

CREATE TABLE store (            -- schema_version, store_id
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE buckets (
    id          BIGINT  PRIMARY KEY,        -- 63 bits, made by the service
    tenant      TEXT    COLLATE "C" NOT NULL,
    name        TEXT    COLLATE "C" NOT NULL,
    owner_id    TEXT    COLLATE "C" NOT NULL,
    owner_name  TEXT    NOT NULL,
    created     BIGINT  NOT NULL,
    region      TEXT    NOT NULL,
    versioning  TEXT    NOT NULL DEFAULT '', -- '', Enabled, Suspended
    object_lock INTEGER NOT NULL DEFAULT 0,
    generation  BIGINT  NOT NULL DEFAULT 1, -- rises with every change of the row or of a document
    subscribed  INTEGER NOT NULL DEFAULT 0, -- changes are recorded in the outbox
    UNIQUE (tenant, name)
);
CREATE INDEX buckets_by_owner ON buckets (owner_id, tenant, name);

CREATE TABLE bucket_documents (             -- tagging, policy, cors, … opaque to the index
    bucket     BIGINT NOT NULL,
    kind       TEXT   COLLATE "C" NOT NULL,
    body       BYTEA  NOT NULL,
    generation BIGINT NOT NULL,             -- the bucket's generation when it was written
    PRIMARY KEY (bucket, kind)
);

CREATE TABLE versions (                     -- every version and delete marker of every key
    bucket          BIGINT  NOT NULL,
    key             BYTEA   NOT NULL,
    seq             BIGINT  NOT NULL,       -- rises per key; the highest is the latest
    id              BYTEA   NOT NULL,
    is_null         INTEGER NOT NULL,       -- its version id is "null"
    delete_marker   INTEGER NOT NULL,
    created         BIGINT  NOT NULL,
    size            BIGINT  NOT NULL,
    etag            TEXT    NOT NULL,       -- without quotes; '' on a delete marker
    owner_id        TEXT    NOT NULL,
    owner_name      TEXT    NOT NULL,
    storage_class   TEXT    NOT NULL DEFAULT 'STANDARD',
    headers         TEXT,                   -- JSON object or NULL
    metadata        TEXT,                   -- JSON object or NULL
    tags            TEXT,                   -- JSON object or NULL
    checksum        TEXT,                   -- "ALGORITHM TYPE value" or NULL
    body            BYTEA,                  -- bodies.id, when the bytes are inline
    blob            BYTEA,                  -- blobs.id, when they are in the blob store
    part_count      INTEGER,                -- not NULL: the bytes are those of parts.owner = id
    coding          TEXT,
    acl             TEXT,
    retention_mode  TEXT,
    retain_until    BIGINT,
    legal_hold      INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX versions_by_key ON versions (bucket, key, seq DESC);
CREATE UNIQUE INDEX null_versions ON versions (bucket, key) WHERE is_null = 1;
CREATE INDEX versions_by_blob ON versions (blob) WHERE blob IS NOT NULL; -- the sweeper asks before it condemns

CREATE TABLE current (                      -- keys whose latest version is an object: what listings read
    bucket        BIGINT NOT NULL,
    key           BYTEA  NOT NULL,
    seq           BIGINT NOT NULL,
    created       BIGINT NOT NULL,
    size          BIGINT NOT NULL,
    etag          TEXT   NOT NULL,
    owner_id      TEXT   NOT NULL,
    owner_name    TEXT   NOT NULL,
    storage_class TEXT   NOT NULL,
    checksum      TEXT,                     -- "ALGORITHM TYPE"
    PRIMARY KEY (bucket, key)
);

CREATE TABLE bodies (                       -- inline bytes; each row has exactly one owner and goes with it
    id   BYTEA PRIMARY KEY,
    crcs BYTEA NOT NULL,                    -- CRC32C of each 1 MiB frame, big-endian
    data BYTEA NOT NULL
);
ALTER TABLE bodies ALTER COLUMN data SET STORAGE EXTERNAL; -- most bodies are compressed already

CREATE TABLE blobs (                        -- what the blob store holds or is about to hold
    id          BYTEA  PRIMARY KEY,
    size        BIGINT,                     -- NULL while it is being written
    crcs        BYTEA,
    created     BIGINT NOT NULL,
    lease_until BIGINT,                     -- not NULL: nothing refers to it; the sweeper may condemn it after this time
    condemned   BIGINT                      -- when the sweeper condemned it; no reference may be taken any more
);
CREATE INDEX unreferenced_blobs ON blobs (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX condemned_blobs ON blobs (condemned) WHERE condemned IS NOT NULL;

CREATE TABLE blob_references (
    blob   BYTEA NOT NULL,
    holder BYTEA NOT NULL,                  -- versions.id or parts.id
    PRIMARY KEY (blob, holder)
);

CREATE TABLE uploads (
    id                 BYTEA  PRIMARY KEY,
    bucket             BIGINT NOT NULL,
    key                BYTEA  NOT NULL,
    created            BIGINT NOT NULL,
    owner_id           TEXT   NOT NULL,
    owner_name         TEXT   NOT NULL,
    initiator_id       TEXT   NOT NULL,
    initiator_name     TEXT   NOT NULL,
    storage_class      TEXT   NOT NULL,
    headers            TEXT,
    metadata           TEXT,
    tags               TEXT,
    acl                TEXT,
    retention_mode     TEXT,
    retain_until       BIGINT,
    legal_hold         INTEGER NOT NULL DEFAULT 0,
    checksum_algorithm TEXT,
    checksum_type      TEXT
);
CREATE UNIQUE INDEX uploads_by_key ON uploads (bucket, key, id);
CREATE INDEX uploads_by_age ON uploads (created);

CREATE TABLE parts (                        -- of an upload, then of the version that has the upload's id
    owner    BYTEA   NOT NULL,
    number   INTEGER NOT NULL,
    id       BYTEA   NOT NULL,
    "offset" BIGINT  NOT NULL DEFAULT 0,
    size     BIGINT  NOT NULL,
    etag     TEXT    NOT NULL,
    checksum TEXT,
    created  BIGINT  NOT NULL,
    body     BYTEA,
    blob     BYTEA,
    coding   TEXT,
    PRIMARY KEY (owner, number)
);
CREATE INDEX parts_by_blob ON parts (blob) WHERE blob IS NOT NULL;

CREATE TABLE outbox (                       -- changes that a consumer waits for, written with the change itself
    id            BYTEA  PRIMARY KEY,
    bucket        BIGINT NOT NULL,
    key           BYTEA  NOT NULL,
    seq           BIGINT NOT NULL,
    kind          TEXT   NOT NULL,          -- ObjectCreated:Put, ObjectRemoved:Delete, …
    created       BIGINT NOT NULL,
    detail        TEXT   NOT NULL,          -- JSON
    claimed_until BIGINT
);

-- What several nodes need --------------------------------------------------------------------------------------------

CREATE TABLE key_locks (                    -- rows that writers of a key lock, since the key may have none yet
    slot INTEGER PRIMARY KEY                -- storage/index/postgresql/locks.py says which is a key's
);
INSERT INTO key_locks SELECT * FROM generate_series(0, 16383);

CREATE TABLE bucket_changes (               -- one row: how many changes of buckets were committed
    number BIGINT NOT NULL
);
INSERT INTO bucket_changes VALUES (0);

CREATE TABLE leases (                       -- what one node at a time does
    name   TEXT   PRIMARY KEY,
    holder TEXT   NOT NULL,
    ends   BIGINT NOT NULL
);

-- What the transactions say in SQLite's words ------------------------------------------------------------------------

CREATE DOMAIN blob AS BYTEA;
CREATE FUNCTION instr(BYTEA, BYTEA) RETURNS INTEGER LANGUAGE SQL IMMUTABLE AS 'SELECT position($2 IN $1)';

-- What blobs in the database need (storage/blobs/postgresql.py) -------------------------------------------------------

CREATE TABLE stored_blobs (
    id         BYTEA   PRIMARY KEY,
    block_size INTEGER NOT NULL,            -- bytes in each block but the last
    size       BIGINT,                      -- NULL until the blob is finished: nobody sees it before
    doomed     BOOLEAN NOT NULL DEFAULT FALSE -- being deleted: nobody sees it any more, nor can finish it
);

CREATE TABLE blocks (
    blob   BYTEA   NOT NULL REFERENCES stored_blobs, -- so that a writer whose blob was deleted leaves no block behind
    number INTEGER NOT NULL,
    data   BYTEA   NOT NULL,
    PRIMARY KEY (blob, number)
);
ALTER TABLE blocks ALTER COLUMN data SET STORAGE EXTERNAL; -- neither compressed nor read whole for a piece of it
