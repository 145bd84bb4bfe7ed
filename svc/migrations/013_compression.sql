-- lz4 compresses and reads large documents several times as fast as PostgreSQL's own method, in
-- somewhat more space. A server that was built without it keeps its own. What is stored already
-- stays as it is.
do $$
begin
    alter table configurations alter column config set compression lz4;
    alter table configuration_revisions alter column config set compression lz4;
exception when feature_not_supported then
    raise notice 'lz4 is not there: documents are compressed by pglz';
end
$$;
