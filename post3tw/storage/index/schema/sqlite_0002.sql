-- Schema 2. Whether any version in a bucket has an ACL, or an owner that is not the bucket's: as long as none has, what the
-- bucket's owner may do with its objects is known without reading them.
ALTER TABLE buckets ADD COLUMN object_acls INTEGER NOT NULL DEFAULT 0;
UPDATE buckets SET object_acls = 1 WHERE EXISTS (
    SELECT 1 FROM versions v WHERE v.bucket = buckets.id AND (v.acl IS NOT NULL OR v.owner_id <> buckets.owner_id)
);
