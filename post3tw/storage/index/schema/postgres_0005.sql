-- Schema 5. Small bodies and the rows of blobs lie in the page with their row, where PostgreSQL writes them with half the work.
ALTER TABLE bodies SET (toast_tuple_target = 8160);
ALTER TABLE blocks SET (toast_tuple_target = 8160);

-- Rows of `blocks` come many at a time. What kept a writer whose blob was deleted from leaving rows behind, a foreign key of
-- each, is one of each time now; and they are counted by it.
ALTER TABLE blocks DROP CONSTRAINT blocks_blob_fkey;
CREATE TABLE block_batches (
    blob   BYTEA   NOT NULL REFERENCES stored_blobs,
    first  INTEGER NOT NULL,                -- blocks.number
    blocks INTEGER NOT NULL,                -- how many
    PRIMARY KEY (blob, first)
);
