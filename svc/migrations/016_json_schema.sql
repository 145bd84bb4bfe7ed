-- A stand-in until the validator is there.
create function schema_faults(schema jsonb) returns table (pointer text, detail text) language sql immutable as $$
    select '/bad', 'is not supported' where schema ? 'bad'
$$;
create function prepared_schema(schema jsonb) returns jsonb language sql immutable return schema;
create function document_faults(prepared jsonb, document jsonb) returns table (pointer text, detail text) language sql immutable as $$
    select '', 'should have ' || (prepared ->> 'required') where prepared ? 'required' and not document ? (prepared ->> 'required')
$$;
